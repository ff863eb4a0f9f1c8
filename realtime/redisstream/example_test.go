package redisstream_test

import (
	"context"
	"crypto/tls"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
	"github.com/telemed-go/telemed/store"
)

// Without servers in Node beside it, what lies in Redis is sealed.
func Example() {
	keys, err := store.KeyringFromEnv(os.Getenv, "CLINIC_KEY")
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: "redis.clinic.example:6379", Password: os.Getenv("REDIS_PASSWORD"), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	journal, err := redisstream.New(redisstream.Config{Client: client, Seal: keys})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	position, err := journal.Append(ctx, realtime.Entry{
		Kind: realtime.KindEvent, Name: "new-appointment", Rooms: []string{"clinic-7"},
	})
	log.Print(position, err)
	_ = journal.Shutdown(ctx)
}
