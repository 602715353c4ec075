package main

// Main lets the test binary be the server.
func Main() { main() }
