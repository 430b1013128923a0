package hook

import "runtime"

// inThread runs f in a thread of its own, which ends with it: for what the
// kernel changes by thread and would not let us change back.
func inThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}
