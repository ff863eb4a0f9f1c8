package template

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// namedZones are zones that have no letters of their own, by the key of their name.
var namedZones = map[string]string{
	"Asia/Dubai": "zone.gulf", "Asia/Muscat": "zone.gulf",
	"Asia/Kathmandu": "zone.nepal", "Asia/Katmandu": "zone.nepal", "Asia/Singapore": "zone.singapore",
}

// namedOffsets serve zones that have only an offset, in minutes.
var namedOffsets = map[int]string{4 * 60: "zone.gulf", 5*60 + 45: "zone.nepal"}

// zone names the clock of t as people know it: "IST", "Gulf time", "Dhaka time". A zone
// that has neither letters nor a city, and is in no table, is "GMT+3:15".
func (w *words) zone(t time.Time) string {
	name, offset := t.Zone()
	if known := strings.TrimPrefix(name, "UTC"); name == "UTC" || known != "" && known[0] != '+' && known[0] != '-' {
		return name
	}
	where := t.Location().String()
	if key, ok := namedZones[where]; ok {
		return w.texts[key]
	}
	if strings.Contains(where, "/") && !strings.HasPrefix(where, "Etc/") {
		city := strings.ReplaceAll(path.Base(where), "_", " ")
		return strings.ReplaceAll(w.texts["zone.city"], "{city}", city)
	}
	if key, ok := namedOffsets[offset/60]; ok {
		return w.texts[key]
	}
	if offset == 0 {
		return "GMT"
	}
	sign, minutes := "+", offset/60
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	if minutes%60 == 0 {
		return fmt.Sprintf("GMT%s%d", sign, minutes/60)
	}
	return fmt.Sprintf("GMT%s%d:%02d", sign, minutes/60, minutes%60)
}
