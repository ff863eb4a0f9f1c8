package notify

// WhatsAppHeader fills the header of a template. One of Text, Document, Image and Video is
// given.
type WhatsAppHeader struct {
	// Text is the parameter of a header that is a line of text.
	Text string `json:",omitempty"`
	// Name is that parameter's, if the template's parameters have names.
	Name string `json:",omitempty"`
	// Document, Image and Video are shown above the words: a receipt as PDF, for instance.
	Document, Image, Video *WhatsAppFile `json:",omitempty"`
}

// WhatsAppFile is a file in a header. One of ID and Link is given.
type WhatsAppFile struct {
	// ID is what whatsapp.Client.Upload returned. Meta keeps the file for 30 days.
	ID string `json:",omitempty"`
	// Link is an https address that anybody who has it may fetch. Anything about a patient is
	// better uploaded.
	Link string `json:",omitempty"`
	// Filename is the name of a Document that the person sees, "receipt.pdf".
	Filename string `json:",omitempty"`
}

// WhatsAppButton fills a button of a template. One of URL and Payload is given.
type WhatsAppButton struct {
	// Index is the button's place in the template, from 0.
	Index int
	// URL is the end of the button's address: what stands for {{1}} in it.
	URL string `json:",omitempty"`
	// Payload comes back when a quick reply is pressed.
	Payload string `json:",omitempty"`
}
