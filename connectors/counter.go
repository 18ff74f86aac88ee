package connectors

// A Counter is a Connector that counts the requests it sends. One that sends none need not be a Counter.
type Counter interface {
	// Requests is the number since the connector was made, retries and those for tokens included.
	Requests() int
}
