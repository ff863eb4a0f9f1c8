package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// exactClaimKeys holds keys that collations, padding, normal forms and patterns take for
// one.
func exactClaimKeys(c *claimsTest) {
	var keys []string
	for _, name := range lookalikes {
		keys = append(keys, name, "zoom:create:"+name)
	}
	tokens := map[string]string{}
	for _, key := range keys {
		tokens[key] = c.wantNew(key, long)
	}
	for i, key := range keys {
		switch i % 3 {
		case 0:
			c.complete(key, tokens[key], key, long)
		case 1:
			c.release(key, tokens[key])
		}
	}
	for i, key := range keys {
		switch i % 3 {
		case 0:
			c.wantDone(key, tokens[key], key)
		case 1:
			c.wantNew(key, long)
		default:
			c.wantBusy(key)
		}
	}
}

func everyClaimKey(c *claimsTest) {
	for _, key := range append([]string{
		strings.Repeat("x", store.MaxClaimKey), strings.Repeat("é", store.MaxClaimKey/2), strings.Repeat("\U0001f600", store.MaxClaimKey/4),
		strings.Repeat("x", store.MaxClaimKey-1) + "y", // shares a long beginning
		strings.Repeat("x", 255), strings.Repeat("x", 255) + "y", strings.Repeat("x", 255) + "z",
	}, oddNames...) {
		token := c.wantNew(key, long)
		c.wantBusy(key)
		c.complete(key, token, key, long)
		c.wantDone(key, token, key)
	}
}

func wholeValues(c *claimsTest) {
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	for i, value := range []string{
		"", "\x00", "null", "NULL", "0", " padded ", "ended\x00early", "\xff\xfe no text", string(every), "é 日本 \U0001f600", `"quoted" \back $where %s`,
		strings.Repeat("v", 255), strings.Repeat("v", 256), strings.Repeat("v", 1025), strings.Repeat("v", store.MaxClaimValue-1),
		strings.Repeat("v", store.MaxClaimValue), strings.Repeat("\x00", store.MaxClaimValue), strings.Repeat("\xff", store.MaxClaimValue),
	} {
		key := fmt.Sprint("key-", i)
		token := c.wantNew(key, long)
		c.complete(key, token, value, long)
		c.wantDone(key, token, value)
	}
	token := c.wantNew("nil", long)
	if err := c.next().Complete(c.Context(), "nil", token, nil, long); err != nil {
		c.Errorf("Complete without a value: %v", err)
	}
	c.wantDone("nil", token, "")
}

func claimAliasing(c *claimsTest) {
	token := c.wantNew("key", long)
	value := []byte("value")
	if err := c.next().Complete(c.Context(), "key", token, value, long); err != nil {
		c.Fatalf("Complete: %v", err)
	}
	if string(value) != "value" {
		c.Error("Complete changes its caller's value")
	}
	copy(value, "other")
	c.wantDone("key", token, "value")
	copy(c.claim("key", long).Value, "other")
	c.wantDone("key", token, "value")
}

// claimBounds goes one step over each bound; the longest that is allowed is in other
// clauses.
func claimBounds(c *claimsTest) {
	token := c.wantNew("key", long)
	for name, key := range map[string]string{
		"no key": "", "a key of one byte too many": strings.Repeat("x", store.MaxClaimKey+1), "a key that is not UTF-8": "key\xff",
		"a key with NUL": "key\x00", "a key with a newline": "key\n",
	} {
		_, err := c.next().Claim(c.Context(), key, long)
		c.wantInvalid("Claim: "+name, err)
		c.wantInvalid("Complete: "+name, c.next().Complete(c.Context(), key, token, nil, long))
		c.wantInvalid("Release: "+name, c.next().Release(c.Context(), key, token))
	}
	for name, token := range map[string]string{
		"no token": "", "a token of one byte too many": strings.Repeat("x", store.MaxClaimToken+1), "a token with NUL": "x\x00", "a token that is not UTF-8": "\xff",
	} {
		c.wantInvalid("Complete: "+name, c.next().Complete(c.Context(), "key", token, nil, long))
		c.wantInvalid("Release: "+name, c.next().Release(c.Context(), "key", token))
	}
	for name, d := range map[string]time.Duration{
		"no time": 0, "a negative time": -time.Second, "less than a millisecond": time.Millisecond - 1, "more than ten years": store.MaxClaimTime + 1,
	} {
		_, err := c.next().Claim(c.Context(), "another key", d)
		c.wantInvalid("Claim: "+name, err)
		c.wantInvalid("Complete: "+name, c.next().Complete(c.Context(), "key", token, nil, d))
	}
	tooLong := make([]byte, store.MaxClaimValue+1)
	c.wantInvalid("Complete: a value of one byte too many", c.next().Complete(c.Context(), "key", token, tooLong, long))
	c.wantBusy("key")
	c.wantNew("another key", long)
}

func (c *claimsTest) wantInvalid(what string, err error) {
	c.Helper()
	wantErr(c.T, what, err, telemed.ErrInvalid)
	if len(telemed.Fields(err)) == 0 {
		c.Errorf("%s: the error names no field", what)
	}
}
