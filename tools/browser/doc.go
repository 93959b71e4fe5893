// Package browser tests the page in a real browser: headless Chromium, driven over its own protocol. It is a module of its own, so that users of the framework
// do not inherit a browser driver; besides tests it holds wsecho, a server for the WebSocket clients of others, which the tests of web/ run. Nothing imports it
// and nothing has to be stopped.
package browser
