package redisstore

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// Kinds and the prefix have no colon, so no two things share a key.

func (s *Store) record(k store.Key) string {
	return s.prefix + "r:" + string(k.Kind) + ":" + k.Name
}

func (s *Store) bucket(k store.Key) string {
	return s.prefix + "b:" + string(k.Kind) + ":" + k.Name
}

func (s *Store) owned(kind store.Kind, owner string) string {
	return s.prefix + "o:" + string(kind) + ":" + owner
}

// digits returns i as 19 decimal digits, which compare as i does: a number of Lua, being binary64, would round it.
// Before 1970 nothing has expired, nor at 1970 - 1ns.
func digits(i store.Instant) string {
	n := strconv.FormatInt(int64(max(0, i)), 10)
	return "0000000000000000000"[len(n):] + n
}

// recordTTL returns after how many milliseconds Redis may remove a record: a day after it expired, as seen from now.
// Those that never expire have none.
func recordTTL(now, expires store.Instant) string {
	if expires == store.Never {
		return ""
	}
	return millis(time.Duration(max(0, expires-max(0, now))), 1)
}

// millis returns d, rounded up, and some days in milliseconds.
func millis(d time.Duration, days int64) string {
	return strconv.FormatInt(d.Milliseconds()+1+days*86_400_000, 10)
}

// packRecord returns r as the scripts know it: version, expiry, length of the owner, then the owner and the body.
func packRecord(r *store.Record) string {
	var b strings.Builder
	b.Grow(recordHead + len(r.Owner) + len(r.Body))
	b.Write(r.Version[:])
	b.WriteString(digits(r.Expires))
	b.WriteByte(byte(len(r.Owner)))
	b.WriteString(r.Owner)
	b.Write(r.Body)
	return b.String()
}

// recordHead is the length of what stands before the owner of a packed record.
const recordHead = 16 + 19 + 1

var errReply = errors.New("reply of an unknown form")

// unpackRecord undoes packRecord. The body is a copy.
func unpackRecord(k store.Key, packed string) (store.Record, error) {
	if len(packed) < recordHead {
		return store.Record{}, errReply
	}
	expires, err := strconv.ParseInt(packed[16:35], 10, 64)
	body := recordHead + int(packed[35])
	if err != nil || len(packed) < body {
		return store.Record{}, errReply
	}
	r := store.Record{Key: k, Expires: store.Instant(expires), Owner: packed[recordHead:body], Body: []byte(packed[body:])}
	copy(r.Version[:], packed)
	return r, nil
}

// unpackPage returns the records of the reply of list.lua, whose keys all begin with prefix.
func unpackPage(prefix string, kind store.Kind, reply []any) ([]store.Record, error) {
	var page []store.Record
	for pair := range slices.Chunk(reply, 2) {
		name, ok := strings.CutPrefix(text(pair[0]), prefix)
		if !ok || len(pair) < 2 {
			return nil, errReply
		}
		r, err := unpackRecord(store.Key{Kind: kind, Name: name}, text(pair[1]))
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, nil
}

// packNumbers returns little-endian binary64, the numbers of Lua.
func packNumbers(numbers []int64) string {
	packed := make([]byte, 0, 8*len(numbers))
	for _, n := range numbers {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(float64(n)))
	}
	return string(packed)
}

// unpackNumbers undoes packNumbers; it returns n numbers or more, missing ones as 0.
func unpackNumbers(packed string, n int) []int64 {
	numbers := make([]int64, max(n, len(packed)/8))
	for i := range len(packed) / 8 {
		bits := binary.LittleEndian.Uint64([]byte(packed[8*i:]))
		numbers[i] = int64(math.Float64frombits(bits))
	}
	return numbers
}

// packBatch returns the keys and arguments of commit.lua.
func (s *Store) packBatch(now store.Instant, b store.Batch) (keys []string, args []any) {
	keys = make([]string, 0, len(b.Charges)+len(b.GiveBacks)+len(b.Puts)+len(b.Deletes))
	args = make([]any, 0, 4+len(b.Charges)+len(b.GiveBacks)+3*len(b.Puts))
	args = append(args, digits(now), strconv.Itoa(len(b.Charges)), strconv.Itoa(len(b.GiveBacks)), strconv.Itoa(len(b.Puts)))
	for _, c := range b.Charges {
		keys, args = append(keys, s.bucket(c.Bucket)), append(args, packCharge(c))
	}
	for _, g := range b.GiveBacks {
		keys, args = append(keys, s.bucket(g.Bucket)), append(args, packGiveBack(g))
	}
	for i := range b.Puts {
		p := &b.Puts[i]
		keys = append(keys, s.record(p.Record.Key))
		args = append(args, packRecord(&p.Record), demanded(p), recordTTL(now, p.Record.Expires))
	}
	for _, k := range b.Deletes {
		keys = append(keys, s.record(k))
	}
	return keys, args
}

func packCharge(c store.Charge) string {
	numbers := make([]int64, 1, 25)
	if c.Look {
		numbers[0] = 1
	}
	for _, w := range c.Windows {
		every := w.Every.Microseconds()
		numbers = append(numbers, w.Cost*every, w.Burst*every, w.Horizon())
	}
	return packNumbers(numbers)
}

func packGiveBack(c store.Charge) string {
	numbers := make([]int64, 0, 8)
	for _, w := range c.Windows {
		numbers = append(numbers, w.Cost*w.Every.Microseconds())
	}
	return packNumbers(numbers)
}

// demanded returns the version that p demands, "" for any.
func demanded(p *store.Put) string {
	if p.Any {
		return ""
	}
	return string(p.Was[:])
}

// unpackOutcome returns what commit.lua tells of b.
func unpackOutcome(b store.Batch, reply []any) (store.Levels, error) {
	if len(reply) == 0 {
		return nil, errReply
	}
	switch rest := reply[1:]; text(reply[0]) {
	case "ok":
		if len(rest) == len(b.Charges) {
			return unpackLevels(b.Charges, rest), nil
		}
	case "limited":
		if refused := limited(b.Charges, rest); refused != nil {
			return nil, refused
		}
	case "conflict":
		if keys := conflicts(b.Puts, rest); len(keys) > 0 {
			return nil, &store.ConflictError{Keys: keys}
		}
	}
	return nil, errReply
}

// limited returns the refusal of a charge and window of these numbers, nil if there is none such.
func limited(charges []store.Charge, numbers []any) *store.LimitedError {
	if len(numbers) != 3 || !within(numbers[0], len(charges)) {
		return nil
	}
	c := charges[number(numbers[0])]
	if !within(numbers[1], len(c.Windows)) {
		return nil
	}
	wait := time.Duration(number(numbers[2])) * time.Microsecond
	return &store.LimitedError{Bucket: c.Bucket, Window: int(number(numbers[1])), RetryAfter: wait}
}

// conflicts returns the keys of the puts of these numbers, nil if there is no such put.
func conflicts(puts []store.Put, numbers []any) []store.Key {
	keys := make([]store.Key, len(numbers))
	for i, n := range numbers {
		if !within(n, len(puts)) {
			return nil
		}
		keys[i] = puts[number(n)].Record.Key
	}
	return keys
}

func unpackLevels(charges []store.Charge, states []any) store.Levels {
	if len(charges) == 0 {
		return nil
	}
	levels := make(store.Levels, len(charges))
	for i, c := range charges {
		levels[i] = unpackNumbers(text(states[i]), len(c.Windows))
	}
	return levels
}

// text returns a string of a reply, "" for what is none.
func text(reply any) string {
	switch s := reply.(type) {
	case string:
		return s
	case []byte:
		return string(s)
	}
	return ""
}

// number returns an integer of a reply. None is negative: -1 stands for what is none.
func number(reply any) int64 {
	if n, ok := reply.(int64); ok {
		return n
	}
	return -1
}

// within tells whether a number of a reply is an index of a list of n.
func within(reply any, n int) bool { return number(reply) >= 0 && number(reply) < int64(n) }
