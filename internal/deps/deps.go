package deps

import (
	_ "github.com/emersion/go-sasl"
	_ "github.com/emersion/go-smtp"
	_ "github.com/gobwas/ws"
	_ "github.com/gobwas/ws/wsutil"
	_ "github.com/razorpay/razorpay-go"
	_ "github.com/stretchr/testify/require"
	_ "go.mongodb.org/mongo-driver/v2/mongo"
	_ "golang.org/x/oauth2"
	_ "google.golang.org/api/calendar/v3"
	_ "gopkg.in/gomail.v2"
)
