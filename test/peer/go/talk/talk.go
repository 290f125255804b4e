// Package talk is what a client program says to its test (harness.py, converse): one line a thing, in the words described there.
package talk

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	Topic    = "plain"
	TxnTopic = "txn"
	TxnCount = 50
	TxnGroup = "txn-group"
)

// How a program authenticates, over TLS; not at all when Mechanism is empty.
var (
	Mechanism = os.Getenv("PEER_MECHANISM")
	User      = os.Getenv("PEER_USER")
	Password  = os.Getenv("PEER_PASSWORD")
)

var (
	Address    string
	Count      int
	Partitions int
	input      = bufio.NewReader(os.Stdin)
	output     = bufio.NewWriter(os.Stdout)
)

// Start reads the program's last arguments: address of the broker, number of records, number of partitions. Returns those before.
func Start() []string {
	last := len(os.Args) - 3
	var err error
	Address = os.Args[last]
	Count, err = strconv.Atoi(os.Args[last+1])
	Must(err)
	Partitions, err = strconv.Atoi(os.Args[last+2])
	Must(err)
	return os.Args[1:last]
}

func say(format string, words ...any) {
	fmt.Fprintf(output, format+"\n", words...)
}

// Pause has the broker killed and started again, and returns when it is there.
func Pause() {
	say("pause")
	output.Flush()
	_, err := input.ReadString('\n')
	Must(err)
}

// Record tells of a record that was read, in order of arrival.
func Record(partition int32, offset int64, key, value []byte) {
	say("record %d %d %s %s", partition, offset, key, value)
}

// Fact tells of something that the test compares with what it wants.
func Fact(name string, value any) {
	say("fact %s %v", name, value)
}

// End is the last word: without it the test has failed.
func End() {
	say("end")
	output.Flush()
}

// Serves tells whether the broker serves a feature (harness.py, FEATURES).
func Serves(feature string) bool {
	return slices.Contains(strings.Fields(os.Getenv("PEER_FEATURES")), feature)
}

// TLS trusts the authority of the test.
func TLS() *tls.Config {
	authority, err := os.ReadFile(os.Getenv("PEER_CA"))
	Must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Key and Value of record n: the key decides the partition.
func Key(n int) string   { return fmt.Sprintf("key-%d", n%17) }
func Value(n int) string { return fmt.Sprintf("value-%06d", n) }

// Kills says whether the broker is to be killed after record n was given to the producer.
func Kills(n int) bool { return n == Count/3 || n == Count/2 }

// Must ends the program when there is an error.
func Must(err error) {
	if err != nil {
		output.Flush()
		panic(err)
	}
}
