package main

import (
	"context"
	"fmt"
)

// chaos is -mode=chaos. This process supervises; the one under test, the survivor, is its child, so that a crash is seen and counted.
func chaos(ctx context.Context, o *options, c console) error {
	report, err := campaignOf(ctx, &o.chaos, c.out)
	if err != nil {
		return err
	}
	if err := report.write(c.out, o.chaos.json); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	return nil
}
