package archtest_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/archtest"
)

func TestTheDictionaryHolds(t *testing.T) {
	t.Parallel()
	found, err := archtest.OtherWords(root)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestOnePairOfMethodsRedacts(t *testing.T) {
	t.Parallel()
	found, err := archtest.Unredacted(root)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestPlantedWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "zoom", "zoom.go"), `package zoom

type Provider struct{ EventID, Secret string }

func (Provider) land() {}

func flight() { var Deduper int; _ = Deduper }
`)
	write(t, filepath.Join(dir, "zoom", "zoomtest", "zoomtest.go"), "package zoomtest\n\ntype Provider struct{}\n")
	write(t, filepath.Join(dir, "store", "oauth", "oauth.go"), "package oauth\n\ntype Provider struct{}\n")
	found, err := archtest.OtherWords(dir)
	require.NoError(t, err)
	require.Equal(t, []string{
		"zoom: EventID is called ID",
		"zoom: Provider is the word of store/oauth",
		"zoom: flight is called attempt",
		"zoom: land is called finish",
	}, found)
}

func TestPlantedRedaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "a.go"), `package a

func (Right) LogValue() {}
func (*Right) Format()  {}
func (Half) LogValue()  {}
func (Old) GoString()   {}
func (Both) LogValue()  {}
func (Both) Format()    {}
func (Both) String()    {}
func (Plain) String()   {}
`)
	found, err := archtest.Unredacted(dir)
	require.NoError(t, err)
	require.Equal(t, []string{
		"a.Both has String or GoString beside LogValue and Format",
		"a.Half has one of LogValue and Format",
		"a.Old has GoString in place of LogValue and Format",
	}, found)
}
