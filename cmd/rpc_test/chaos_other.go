//go:build !linux

package main

import (
	"context"
	"errors"
	"runtime"
)

var errChaos = errors.New("chaos needs Linux: it freezes and kills processes with signals and looks for leaks in /proc, which " + runtime.GOOS + " does not have")

func chaos(context.Context, *options, console) error { return errChaos }

func survivorWorker(context.Context, *options, console) error { return errChaos }
