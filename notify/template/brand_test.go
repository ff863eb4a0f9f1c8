package template_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

func brand() template.Brand {
	return template.Brand{
		LogoURL: "https://clinic.example/logo.png?size=2&x=1", Color: "#14532d", OnColor: "#fef9c3", Address: "12 Lake Road, Pune",
		Phone: "+91 20 5555 0100", Registration: "MH/CE/2021/17", GSTIN: "27AAAAA0000A1Z5",
	}
}

// TestBrand: each field stands where it must, in every mail of every language; without it
// nothing is left of its place.
func TestBrand(t *testing.T) {
	t.Parallel()
	cfg := config()
	plain := newSet(t, cfg)
	cfg.Brand = brand()
	set := newSet(t, cfg)
	for _, name := range set.Names() {
		for _, locale := range languages(t) {
			msg := message(name, locale, dataFor(name))
			got, bare := render(t, set, msg), render(t, plain, msg)
			for _, text := range []string{brand().Address, brand().Phone, brand().Registration} {
				require.Contains(t, got.Text, text, name)
				require.Contains(t, got.HTML, strings.ReplaceAll(text, "+", "&#43;"), name)
				require.NotContains(t, bare.Text+bare.HTML, text)
			}
			require.Contains(t, got.HTML, `<img src="https://clinic.example/logo.png?size=2&amp;x=1" alt=""`)
			require.Contains(t, got.HTML, "background-color:#14532d;color:#fef9c3")
			require.NotContains(t, got.HTML, "background-color:#4e54c8")
			receipt := name == template.PaymentReceived
			require.Equal(t, receipt, strings.Contains(got.HTML, brand().GSTIN) && strings.Contains(got.Text, brand().GSTIN), name)

			for _, remote := range []string{"<img", "url(", "<link", "src="} {
				require.NotContains(t, bare.HTML, remote, "nothing is loaded that nobody set")
			}
			require.Contains(t, bare.HTML, "background-color:#4e54c8;color:#ffffff")
			require.NotContains(t, bare.Text+bare.HTML, "GSTIN")
			require.NotContains(t, bare.Text, "\n\n\n")
		}
	}
}

// TestBrandIsEscaped: what the configuration says is text, not markup.
func TestBrandIsEscaped(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Clinic = `A & B <b>"Clinic"</b>`
	cfg.Brand = template.Brand{Address: "<i>1</i>", Phone: `<a href="https://evil.example">x</a>`, Registration: "<script>r</script>", GSTIN: "<u>g</u>"}
	set := newSet(t, cfg)
	for _, name := range set.Names() {
		page := render(t, set, message(name, "en", dataFor(name))).HTML
		for _, markup := range []string{"<i>", "<script>", "<u>", "<b>", `href="https://evil`} {
			require.NotContains(t, page, markup, name)
		}
		require.Contains(t, page, "&lt;script&gt;r&lt;/script&gt;")
		require.Contains(t, page, "A &amp; B &lt;b&gt;")
	}
}

func TestBrandIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		brand template.Brand
		want  string
	}{
		"plain http":       {template.Brand{LogoURL: "http://clinic.example/logo.png"}, "Brand.LogoURL"},
		"script":           {template.Brand{LogoURL: "javascript:alert(1)"}, "Brand.LogoURL"},
		"data":             {template.Brand{LogoURL: "data:image/png;base64,AA=="}, "Brand.LogoURL"},
		"name of a colour": {template.Brand{Color: "red"}, "Brand.Color"},
		"short":            {template.Brand{Color: "#123"}, "Brand.Color"},
		"more style":       {template.Brand{Color: "#123456;background:url(https://evil.example)"}, "Brand.Color"},
		"its text":         {template.Brand{OnColor: "white"}, "Brand.Color"},
		"pale":             {template.Brand{Color: "#a5b4fc"}, "Brand.Color"},
		"dark on dark":     {template.Brand{OnColor: "#111111"}, "Brand.Color"},
		"two lines":        {template.Brand{Address: "a\nb"}, "Brand.Address"},
		"long":             {template.Brand{Phone: strings.Repeat("1", 201)}, "Brand.Phone"},
		"reversed":         {template.Brand{Registration: "a\u202eb"}, "Brand.Registration"},
		"not UTF-8":        {template.Brand{GSTIN: "\xff"}, "Brand.GSTIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Brand = c.brand
			_, err := template.New(cfg)
			require.Equal(t, []string{c.want}, fields(t, err))
		})
	}
}

// TestIndia2020: what the doctor's registration is missing in is not made, and the error says
// which field it is.
func TestIndia2020(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Preset = "India2019"
	_, err := template.New(cfg)
	require.Equal(t, []string{"Preset"}, fields(t, err))
	cfg.Preset = template.India2020
	_, err = template.New(cfg)
	require.Equal(t, []string{"Brand.Registration"}, fields(t, err))

	cfg.Brand.Registration = "MH/CE/2021/17"
	set, refused := newSet(t, cfg), 0
	for _, name := range set.Names() {
		data := reflect.New(reflect.TypeOf(dataFor(name))).Elem()
		data.Set(reflect.ValueOf(dataFor(name)))
		registration := data.FieldByName("Registration")
		toDoctor := strings.HasPrefix(name, "doctor_") && name != template.DoctorLate
		if !registration.IsValid() || toDoctor {
			render(t, set, message(name, "en", data.Interface()))
			continue
		}
		refused++
		registration.SetString("")
		data.FieldByName("Council").SetString("")
		_, err := set.Render(message(name, "hi", data.Interface()))
		require.Equal(t, []string{"Data.Council", "Data.Registration"}, fields(t, err), name)
		registration.SetString("12345")
		_, err = set.Render(message(name, "en", data.Interface()))
		require.Equal(t, []string{"Data.Council"}, fields(t, err), name)
		data.FieldByName("Council").SetString("Maharashtra Medical Council")
		got := render(t, set, message(name, "en", data.Interface()))
		require.Contains(t, got.Text, "Registration: 12345 Maharashtra Medical Council\n", name)
		require.Contains(t, got.HTML, "12345 Maharashtra Medical Council", name)
	}
	require.Equal(t, 10, refused, "every message about a visit, the receipt and the document")
}

// TestReceipt: number, lines with tax or the exemption, and the clinic's tax number.
func TestReceipt(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Brand.GSTIN = "27AAAAA0000A1Z5"
	set := newSet(t, cfg)
	r := receipt()
	r.Amount, r.Number, r.Doctor = 118000, "R-2026-17", "Dr Mehta"
	r.Lines = []template.ReceiptLine{{Text: "Consultation", Amount: 110000}, {Text: "Discount", Amount: -10000}, {Text: "IGST 18%", Amount: 18000}}
	got := render(t, set, message(template.PaymentReceived, "en", r))
	for _, want := range []string{
		"Receipt number: R-2026-17\n", "Doctor: Dr Mehta\n", "Consultation: ₹1,100.00\nDiscount: -₹100.00\nIGST 18%: ₹180.00\n",
		"Amount: ₹1,180.00\n", "GSTIN: 27AAAAA0000A1Z5\n",
	} {
		require.Contains(t, got.Text, want)
	}
	require.NotContains(t, got.Text, "exemption")
	_, texts, err := parseHTML(got.HTML)
	require.NoError(t, err)
	for _, want := range []string{"R-2026-17", "IGST 18%", "₹180.00", "-₹100.00", "27AAAAA0000A1Z5"} {
		require.Contains(t, texts, want)
	}

	r.Lines, r.Exemption = nil, "Healthcare services, exempt from GST"
	got = render(t, set, message(template.PaymentReceived, "en", r))
	require.Contains(t, got.Text, "Tax exemption: Healthcare services, exempt from GST\n")

	r.Lines = []template.ReceiptLine{{Text: "Consultation", Amount: 100000}}
	_, err = set.Render(message(template.PaymentReceived, "en", r))
	require.Equal(t, []string{"Data.Lines"}, fields(t, err), "lines that are not the amount")
	r.Lines = []template.ReceiptLine{{Text: "a\nb", Amount: 118000}}
	_, err = set.Render(message(template.PaymentReceived, "en", r))
	require.Equal(t, []string{"Data.Lines"}, fields(t, err))
}
