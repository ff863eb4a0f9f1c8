package starttest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/realtime/sse"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

// constructor is a New with the type of its Config.
type constructor struct {
	config reflect.Type
	build  func(config reflect.Value) error
}

func of[C, T any](build func(C) (T, error)) constructor {
	return constructor{reflect.TypeFor[C](), func(config reflect.Value) error {
		_, err := build(config.Interface().(C))
		return err
	}}
}

// constructors are all of the module that take a Config.
var constructors = map[string]constructor{
	"connect.New":         of(connect.New),
	"durable.NewRunner":   of(durable.NewRunner),
	"fulfill.New":         of(fulfill.New),
	"googlemeet.New":      of(googlemeet.New),
	"mongostore.New":      of(mongostore.New),
	"oauth.NewSource":     of(oauth.NewSource),
	"outbox.New":          of(outbox.New),
	"payments.NewWebhook": of(payments.NewWebhook),
	"razorpay.New":        of(razorpay.New),
	"realtime.NewHub":     of(realtime.NewHub),
	"smtp.New":            of(smtp.New),
	"socketio.New":        of(socketio.New),
	"sse.New":             of(sse.New),
	"sqlstore.New":        of(sqlstore.New),
	"template.New":        of(template.New),
	"visit.New":           of(visit.New),
	"whatsapp.New":        of(whatsapp.New),
	"whatsapp.NewWebhook": of(whatsapp.NewWebhook),
	"zoom.New":            of(zoom.New),
	"zoom.NewWebhook":     of(zoom.NewWebhook),
}

// good are those that need nothing: a hub that lets nobody into a room.
var good = map[string]bool{"realtime.NewHub": true}

// unbuilt is what an application holds after constructors that have failed: one of them at
// least is of each interface that a Config has a field of.
var unbuilt = []any{
	(*sqlstore.Store)(nil), (*mongostore.Rows)(nil), (*store.Keyring)(nil), (*razorpay.Client)(nil), (*smtp.Client)(nil), (*template.Set)(nil),
	(*oauth.FileSpool)(nil), (*socketio.Server)(nil), (*zoom.Client)(nil), (*fstest.MapFS)(nil), (*notifytest.Recorder)(nil), (*realtime.MemoryJournal)(nil),
}

func TestEveryConstructorIsKnown(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, declared(t, builds), slices.Collect(maps.Keys(constructors)))
}

// An application calls all its constructors, and then looks at all their errors at once.
func TestNewOfNothingNamesFields(t *testing.T) {
	t.Parallel()
	for name, c := range constructors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.build(reflect.Zero(c.config))
			if good[name] {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.NotEmpty(t, telemed.Fields(err))
			for _, field := range telemed.Fields(err) {
				requireField(t, c.config, field.Field)
			}
		})
	}
}

// requireField looks whether there is a field of that path.
func requireField(t *testing.T, config reflect.Type, path string) {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		name, _, _ = strings.Cut(name, "[")
		if config.Kind() != reflect.Struct { // an element, below which nobody looks
			return
		}
		field, ok := config.FieldByName(name)
		if !ok && config == reflect.TypeFor[connect.Config]() { // the Provider names its own
			return
		}
		require.True(t, ok, "%s is no field of %s", path, config)
		config = field.Type
	}
}

// What is handed over before its own error was looked at is named, and not called.
func TestNewNamesWhatWasNotBuilt(t *testing.T) {
	t.Parallel()
	tried := 0
	for name, c := range constructors {
		for _, field := range reflect.VisibleFields(c.config) {
			if !field.IsExported() || !holdsInterfaces(field.Type) {
				continue
			}
			tried++
			t.Run(name+"/"+field.Name, func(t *testing.T) {
				t.Parallel()
				config := reflect.New(c.config).Elem()
				config.FieldByIndex(field.Index).Set(unbuiltFor(t, field.Type))
				err := c.build(config)
				require.ErrorIs(t, err, telemed.ErrInvalid)
				require.True(t, slices.ContainsFunc(telemed.Fields(err), func(f *telemed.FieldError) bool {
					return f.Field == field.Name || strings.HasPrefix(f.Field, field.Name+"[")
				}), "%v does not name %s", err, field.Name)
			})
		}
	}
	require.Greater(t, tried, 15)
}

func holdsInterfaces(field reflect.Type) bool {
	return field.Kind() == reflect.Interface || field.Kind() == reflect.Map && field.Elem().Kind() == reflect.Interface && field.Elem().NumMethod() > 0
}

// unbuiltFor returns what a field of that type holds after a constructor has failed.
func unbuiltFor(t *testing.T, field reflect.Type) reflect.Value {
	t.Helper()
	if field.Kind() == reflect.Interface {
		return nilOf(t, field)
	}
	values := reflect.MakeMap(field)
	values.SetMapIndex(reflect.ValueOf("x").Convert(field.Key()), nilOf(t, field.Elem()))
	return values
}

// nilOf returns a nil pointer that implements an interface.
func nilOf(t *testing.T, wanted reflect.Type) reflect.Value {
	t.Helper()
	for _, value := range unbuilt {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.Type().Implements(wanted) {
			return v
		}
	}
	require.FailNow(t, fmt.Sprintf("add a pointer that implements %s to unbuilt", wanted))
	return reflect.Value{}
}
