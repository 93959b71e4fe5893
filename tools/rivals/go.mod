module github.com/tianxia-mmo/tianxia/tools/rivals

go 1.26.0

require (
	github.com/gobwas/ws v1.5.0
	github.com/lxzan/gws v1.9.1
	github.com/tianxia-mmo/tianxia v0.0.0
	google.golang.org/grpc v1.76.0
)

require (
	github.com/flynn/noise v1.1.0 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250804133106-a7a43d27e69b // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/tianxia-mmo/tianxia => ../..
