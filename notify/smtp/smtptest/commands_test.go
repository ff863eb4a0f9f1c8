package smtptest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// TestCommands: each operation is kept with its reply, and 0 where there was none.
func TestCommands(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	client, err := smtp.New(smtp.Config{Addr: server.Addr(), From: "care@clinic.example", TLS: server.ClientTLS(), LocalName: "clinic.example"})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) }()
	server.FailNext(
		smtptest.Fault{Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 User unknown"},
		smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true}, smtptest.Fault{Op: smtptest.OpLogin, Hang: true},
	)
	_, err = client.Notify(t.Context(), message())
	require.Error(t, err)
	_, err = client.Notify(t.Context(), message())
	require.Error(t, err)
	require.Equal(t, []smtptest.Fault{{Op: smtptest.OpLogin, Hang: true}}, server.Pending())
	statuses := map[string][]int{}
	for _, c := range server.Commands() {
		statuses[c.Op] = append(statuses[c.Op], c.Status)
		require.False(t, c.At.IsZero())
	}
	require.Equal(t, []int{550, 250}, statuses[smtptest.OpRcpt])
	require.Equal(t, []int{0}, statuses[smtptest.OpData])
	server.Reset()
	require.Empty(t, server.Commands())
}
