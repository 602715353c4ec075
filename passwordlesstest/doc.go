// Package passwordlesstest helps to test what is built on passwordless: an outbox in place of
// a transport, and a clock that moves when told to. Package servicetest tells whether a Service
// on a store of your own keeps its promises.
package passwordlesstest
