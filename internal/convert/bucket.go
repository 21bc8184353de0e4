package convert

import (
	"crypto/md5" //nolint:gosec // it is what Property Manager can compute; nothing secret depends on it
	"slices"
	"strings"
)

// bucketHash is what a property computes of a path, or of a host and a path: decoded once, in lower case, the first
// four hexadecimal digits of its MD5 as a number.
func bucketHash(scratch []byte, text string) (uint16, []byte) {
	scratch = decodeOnce(scratch[:0], text)
	return hashLower(scratch), scratch
}

func hashLower(text []byte) uint16 {
	lowerInPlace(text)
	sum := md5.Sum(text) //nolint:gosec // as above
	return uint16(sum[0])<<8 | uint16(sum[1])
}

// appendHashes adds the hashes of one key: more than one where no document says how the property reads it, for the path
// may have been decoded before, and + may stand for a blank. A + that is written as %2B is read as + once it is decoded.
func appendHashes(hashes []uint16, scratch []byte, text string) ([]uint16, []byte) {
	add := func(h uint16) {
		if !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	var hash uint16
	hash, scratch = bucketHash(scratch, text)
	add(hash)
	if !ambiguous(text) {
		return hashes, scratch
	}
	// A + that was an escape before the first decoding is none of the visitor's.
	spaced := strings.ReplaceAll(text, "+", " ")
	once := string(decodeOnce(nil, text))
	for _, reading := range [][]byte{
		decodeOnce(nil, spaced), decodeOnce(nil, once), decodeOnce(nil, strings.ReplaceAll(once, "+", " ")),
	} {
		add(hashLower(reading))
	}
	return hashes, scratch
}

// ambiguous reports whether a key holds what may be read in more than one way: a +, as it is or encoded, or a % that
// decoding leaves behind.
func ambiguous(text string) bool {
	if strings.IndexByte(text, '%') < 0 {
		return strings.IndexByte(text, '+') >= 0
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' && isEscape(text[i:]) {
			c = unhex(text[i+1])<<4 | unhex(text[i+2])
			i += 2
		}
		if c == '+' || c == '%' {
			return true
		}
	}
	return false
}

// bucketKeys are the hashes of all rows for one kind of key.
type bucketKeys struct {
	hash []uint16            // of each row
	many map[uint32][]uint16 // of rows that have more than one, all of them
}

func (k *bucketKeys) set(row uint32, hashes []uint16) {
	switch len(hashes) {
	case 0:
	case 1:
		k.hash[row] = hashes[0]
	default:
		if k.many == nil {
			k.many = map[uint32][]uint16{}
		}
		k.many[row] = slices.Clone(hashes)
	}
}

// buckets gives the buckets of a row, of n, in ascending order.
func (k *bucketKeys) buckets(row uint32, n int, to []int) []int {
	to = to[:0]
	hashes, ok := k.many[row]
	if !ok {
		return append(to, int(k.hash[row])%n)
	}
	for _, h := range hashes {
		to = append(to, int(h)%n)
	}
	slices.Sort(to)
	return slices.Compact(to)
}
