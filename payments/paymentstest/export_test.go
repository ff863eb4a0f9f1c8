package paymentstest

import "github.com/telemed-go/telemed/internal/signature"

// Sign signs a pair of ids as a paid checkout would.
func (g *Gateway) Sign(orderID, paymentID string) string {
	return signature.Hex(g.key, []byte(orderID+"|"+paymentID))
}
