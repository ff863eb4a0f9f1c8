package connect

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
)

// A flow that a stranger's page begins in a doctor's browser ends with an account that
// the doctor did not choose (CVE-2015-9284). So the first request is guarded like all
// that change something, though it is a GET.

// guardStart refuses what does not come from the application's own pages.
//
//   - A prefetch, of any page: nobody has clicked yet.
//   - A frame, an image, a script: a consent page cannot be shown there.
//   - A navigation by GET that another site has to do with. Sec-Fetch-Site looks at each
//     redirect on the way, so that an open redirect of ours does not help a stranger.
//   - What is no navigation by GET, unless http.CrossOriginProtection lets it through:
//     of other origins only the ReturnURL's may do it.
//
// Browsers send Sec-Fetch-Site over https since March 2023, the last of them Safari 16.4,
// and pages cannot suppress it. Without it, Origin or else Referer must name this origin
// or the ReturnURL's. What has none of the three is let through. It is a program, or an
// old browser whose pages send no Referer, and refusing it would lock its doctors out.
// What remains to a stranger there is a consent page that the doctor did not ask for.
func (c *Connector) guardStart(r *http.Request) error {
	if prefetch(r.Header) {
		return crossSite("a prefetch begins no flow")
	}
	if !slices.Contains([]string{"", "document", "empty"}, r.Header.Get("Sec-Fetch-Dest")) {
		return crossSite("only a page begins a flow")
	}
	if navigation(r) && slices.Contains([]string{"same-origin", "same-site", "none"}, r.Header.Get("Sec-Fetch-Site")) {
		return nil
	}
	if c.guard.Check(asPost(r)) != nil {
		return crossSite("the request comes from another site")
	}
	return nil
}

// crossSite is a refusal in our words: what a stranger sent is not repeated.
func crossSite(why string) error {
	return &FlowError{Reason: ReasonCrossSite, Err: fmt.Errorf("%s: %w", why, telemed.ErrForbidden)}
}

// prefetch knows the header of today and those of older browsers.
func prefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		purpose := strings.ToLower(strings.Join(h.Values(name), " "))
		for _, word := range []string{"prefetch", "prerender", "preview"} {
			if strings.Contains(purpose, word) {
				return true
			}
		}
	}
	return false
}

// navigation reports whether the browser shows the answer, which no script can read.
func navigation(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (mode == "" || mode == "navigate")
}

// asPost has http.CrossOriginProtection look at a GET too. If the browser sends neither
// Sec-Fetch-Site nor Origin, the origin is that of the Referer.
func asPost(r *http.Request) *http.Request {
	post := r.WithContext(r.Context())
	post.Method = http.MethodPost
	referer := r.Header.Get("Referer")
	if referer == "" || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" {
		return post
	}
	post.Header = r.Header.Clone()
	post.Header.Set("Origin", originOf(referer))
	return post
}

// originOf returns "null", which nobody trusts, for what is no address of a page.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "null"
	}
	return u.Scheme + "://" + u.Host
}
