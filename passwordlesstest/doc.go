// Package passwordlesstest helps to test what is built on passwordless: an outbox in place of
// a transport, and a clock that moves when told to.
package passwordlesstest
