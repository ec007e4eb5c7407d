// Locks and elections of etcd's own client library for Go, driven as bench/peers/peer.ts has it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
)

type release func() error

// afterFailure is how long who is refused waits before it tries again.
const afterFailure = 10 * time.Millisecond

// A caller is one of those who want locks.
type caller interface {
	acquire(ctx context.Context, name string) (release, error)
}

// mutex is a lock of one session. A session is one contender: two callers that want the same lock need two.
type mutex struct{ session *concurrency.Session }

func (m mutex) acquire(ctx context.Context, name string) (release, error) {
	lock := concurrency.NewMutex(m.session, name)
	if err := lock.Lock(ctx); err != nil {
		return nil, err
	}
	return func() error { return lock.Unlock(context.Background()) }, nil
}

type election struct{ session *concurrency.Session }

func (e election) acquire(ctx context.Context, name string) (release, error) {
	campaign := concurrency.NewElection(e.session, name)
	if err := campaign.Campaign(ctx, ""); err != nil {
		return nil, err
	}
	return func() error { return campaign.Resign(context.Background()) }, nil
}

// transaction is the limit: one write, and no lock.
type transaction struct{ client *clientv3.Client }

func (t transaction) acquire(ctx context.Context, name string) (release, error) {
	_, err := t.client.Txn(ctx).Then(clientv3.OpPut("raw/"+name, "x")).Commit()
	return func() error { return nil }, err
}

type peer struct {
	client  *clientv3.Client
	kind    string
	ttl     int
	callers []caller
	// sessions are ended in the end, so that no lease is left to expire on somebody else's account.
	sessions []*concurrency.Session
	lock     sync.Mutex
	held     map[string]release
}

// call gives the caller of this index, with those before it.
func (p *peer) call(index int) (caller, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for len(p.callers) <= index {
		next, err := p.newCaller()
		if err != nil {
			return nil, err
		}
		p.callers = append(p.callers, next)
	}
	return p.callers[index], nil
}

func (p *peer) newCaller() (caller, error) {
	if p.kind == "transaction" {
		return transaction{p.client}, nil
	}
	session, err := concurrency.NewSession(p.client, concurrency.WithTTL(p.ttl))
	if err != nil {
		return nil, err
	}
	p.sessions = append(p.sessions, session)
	if p.kind == "election" {
		return election{session}, nil
	}
	return mutex{session}, nil
}

// cycle has each caller lock and unlock a lock of its own. All of them share the first session, which they may.
func (p *peer) cycle(callers int, duration time.Duration, name string) (string, error) {
	shared, err := p.call(0)
	if err != nil {
		return "", err
	}
	cycles := make([]int, callers)
	startedAt := time.Now()
	err = together(callers, func(index int) error {
		own := fmt.Sprintf("%s-%d", name, index)
		for time.Since(startedAt) < duration {
			unlock, err := shared.acquire(context.Background(), own)
			if err != nil {
				return err
			}
			if err := unlock(); err != nil {
				return err
			}
			cycles[index]++
		}
		return nil
	})
	elapsed := time.Since(startedAt).Microseconds()
	sum := 0
	for _, own := range cycles {
		sum += own
	}
	return fmt.Sprintf("%d %d", sum, elapsed), err
}

func (p *peer) contend(name string, callers int, warm, counted time.Duration) (string, error) {
	countsFrom := time.Now().Add(warm)
	ctx, cancel := context.WithTimeout(context.Background(), warm+counted)
	defer cancel()
	waits := make([][]string, callers)
	served := make([]bool, callers)
	var failed int64
	err := together(callers, func(index int) error {
		caller, err := p.call(index)
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			askedAt := time.Now()
			unlock, err := caller.acquire(ctx, name)
			if err != nil {
				if ctx.Err() == nil {
					atomic.AddInt64(&failed, 1)
					time.Sleep(afterFailure)
				}
				continue
			}
			if grantedAt := time.Now(); ctx.Err() == nil {
				served[index] = true
				if grantedAt.After(countsFrom) {
					waits[index] = append(waits[index], strconv.FormatInt(grantedAt.Sub(askedAt).Microseconds(), 10))
				}
			}
			if err := unlock(); err != nil && ctx.Err() == nil {
				atomic.AddInt64(&failed, 1)
				time.Sleep(afterFailure)
			}
		}
		return nil
	})
	everServed := 0
	var all []string
	for index, own := range waits {
		if served[index] {
			everServed++
		}
		all = append(all, own...)
	}
	return fmt.Sprintf("%d %d %s", everServed, failed, strings.Join(all, ",")), err
}

func (p *peer) hold(name string) error {
	caller, err := p.call(0)
	if err != nil {
		return err
	}
	unlock, err := caller.acquire(context.Background(), name)
	if err != nil {
		return err
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.held[name] = unlock
	return nil
}

func (p *peer) keep(count int, name string) (string, error) {
	if _, err := p.call(0); err != nil {
		return "", err
	}
	before := heap()
	own := func(index int) string { return fmt.Sprintf("%s-%d", name, index) }
	for index := 0; index < count; index++ {
		if err := p.hold(own(index)); err != nil {
			return "", err
		}
	}
	perLock := (heap() - before) / int64(count)
	p.held[name] = func() error {
		return together(count, func(index int) error { return p.held[own(index)]() })
	}
	return strconv.FormatInt(perLock, 10), nil
}

func milliseconds(count int) time.Duration {
	return time.Duration(count) * time.Millisecond
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// together runs act for each of so many at once, and gives the first error.
func together(count int, act func(index int) error) error {
	errs := make(chan error, count)
	for index := 0; index < count; index++ {
		go func(index int) { errs <- act(index) }(index)
	}
	var first error
	for index := 0; index < count; index++ {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (p *peer) answer(words []string) (string, error) {
	number := func(index int) int {
		value, _ := strconv.Atoi(words[index])
		return value
	}
	switch words[0] {
	case "callers":
		_, err := p.call(number(1) - 1)
		return "", err
	case "cycle":
		return p.cycle(number(1), milliseconds(number(2)), words[3])
	case "contend":
		return p.contend(words[1], number(2), milliseconds(number(3)), milliseconds(number(4)))
	case "hold":
		return "", p.hold(words[1])
	case "release":
		p.lock.Lock()
		unlock := p.held[words[1]]
		p.lock.Unlock()
		return "", unlock()
	case "keep":
		return p.keep(number(1), words[2])
	}
	return "", fmt.Errorf("expected a command, got %s", words[0])
}

func main() {
	endpoint, kind := os.Args[1], os.Args[3]
	ttlMs, _ := strconv.Atoi(os.Args[2])
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p := &peer{client: client, kind: kind, ttl: ttlMs / 1000, held: map[string]release{}}
	var output sync.Mutex
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		words := strings.Fields(input.Text())
		go func() {
			answer, err := p.answer(words)
			output.Lock()
			defer output.Unlock()
			if err != nil {
				fmt.Println("failed", err)
			} else {
				fmt.Println(words[0], answer)
			}
		}()
	}
	for _, session := range p.sessions {
		session.Close()
	}
	client.Close()
}
