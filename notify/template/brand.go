package template

import (
	"cmp"
	"math"
	"regexp"
	"strconv"

	"github.com/telemed-go/telemed/internal/fault"
)

// Brand is how messages look, and what they say of the clinic. Texts are one line of at
// most 200 bytes, and are not shown if they are empty.
type Brand struct {
	// LogoURL is the address of a picture, https. If empty, the name stands alone.
	LogoURL string
	// Color is the ground of the head and of buttons, "#4e54c8"; OnColor is the text on it.
	// Their contrast is at least 4.5 to 1. If empty, indigo and white.
	Color, OnColor string
	// Address and Phone are the clinic's.
	Address, Phone string
	// Registration is the clinic's number at the authority that registers clinics.
	Registration string
	// GSTIN is the clinic's tax number in India. Receipts show it.
	GSTIN string
}

var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (b Brand) filled() Brand {
	b.Color, b.OnColor = cmp.Or(b.Color, "#4e54c8"), cmp.Or(b.OnColor, "#ffffff")
	return b
}

func (b Brand) check(p *fault.Problems) {
	checkLink(p, "Brand.LogoURL", b.LogoURL)
	for field, text := range map[string]string{
		"Brand.Address": b.Address, "Brand.Phone": b.Phone, "Brand.Registration": b.Registration, "Brand.GSTIN": b.GSTIN,
	} {
		checkLine(p, field, text, maxText)
	}
	b = b.filled()
	if !colorPattern.MatchString(b.Color) || !colorPattern.MatchString(b.OnColor) {
		p.Add("Brand.Color", "and OnColor are not both like #4e54c8")
		return
	}
	p.Check(contrast(b.Color, b.OnColor) >= 4.5, "Brand.Color", "has a contrast below 4.5 to OnColor")
}

// contrast is that of WCAG 2.2, 1.4.3.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(color string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		part, _ := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8) // colorPattern has checked it
		c := float64(part) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}

// Preset is a country's rule for messages, with the year of its text.
type Preset string

// India2020 is the Telemedicine Practice Guidelines of 25 March 2020: messages and
// receipts show the doctor's registration number and council. New then needs
// Brand.Registration too, and Render refuses Data that lacks Registration or Council.
const India2020 Preset = "India2020"

// registered is Data that may name a doctor's registration.
type registered interface {
	registered() (registration, council string)
}

func (preset Preset) check(p *fault.Problems, b Brand) {
	p.Check(preset == "" || preset == India2020, "Preset", "is not one of this package")
	p.Check(preset != India2020 || b.Registration != "", "Brand.Registration", "is required by India2020")
}

// checkDoctor asks nothing of messages that go to the doctor.
func (preset Preset) checkDoctor(p *fault.Problems, name, registration, council string) {
	if preset != India2020 || shapes[name].doctor {
		return
	}
	p.Check(registration != "", "Data.Registration", "is required by India2020")
	p.Check(council != "", "Data.Council", "is required by India2020")
}
