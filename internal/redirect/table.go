package redirect

import "math"

// table is a hash table of values under 32-bit tags, several values to a tag. The values of a tag come back in the order
// in which they were put in. Values are below 1<<31. It holds no pointers, and a look at a tag that has no value, or one,
// costs one place in memory: 8 bytes for a tag, of which at most three in four are used.
type table struct {
	slots []slot // a power of two of them
	tags  int
	more  []link  // of tags with several values
	blind []blind // of values that a request finds also when its host is not known
}

// slot is one tag. Tags that belong into one place follow each other (linear probing).
type slot struct {
	tag   uint32
	value uint32 // free; a value; or, with the highest bit set, the place in more of the tag's last value
}

// link is one of several values of a tag. They are a ring: behind the last comes the first.
type link struct{ value, next uint32 }

// blind is a value with the tag by which it is found when the host is not known.
type blind struct{ tag, value uint32 }

const (
	free    = math.MaxUint32
	several = 1 << 31
)

// add puts in a value. Where blindTag is not 0, it is the tag by which the value is found without knowing the host.
func (t *table) add(tag, value, blindTag uint32) {
	if blindTag != 0 {
		t.blind = append(t.blind, blind{blindTag, value})
	}
	if 4*(t.tags+1) > 3*len(t.slots) {
		t.grow()
	}
	s := t.slot(tag)
	switch {
	case s.value == free:
		*s = slot{tag, value}
		t.tags++
	case s.value&several == 0: // two links make the ring
		first := uint32(len(t.more))
		t.more = append(t.more, link{s.value, first + 1}, link{value, first})
		s.value = several | (first + 1)
	default:
		last := s.value &^ several
		t.more = append(t.more, link{value, t.more[last].next})
		t.more[last].next = uint32(len(t.more) - 1)
		s.value = several | uint32(len(t.more)-1)
	}
}

// slot is that of a tag, or the free one where it would be. There must be a free one.
func (t *table) slot(tag uint32) *slot {
	mask := uint32(len(t.slots) - 1)
	for i := tag & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.value == free || s.tag == tag {
			return s
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, max(8, 2*len(old)))
	for i := range t.slots {
		t.slots[i].value = free
	}
	for _, s := range old {
		if s.value != free {
			*t.slot(s.tag) = s
		}
	}
}

// find appends the values of a tag to dst, at most limit of them.
func (t *table) find(dst []uint32, tag uint32, limit int) []uint32 {
	if len(t.slots) == 0 {
		return dst
	}
	s := t.slot(tag)
	switch {
	case s.value == free:
		return dst
	case s.value&several == 0:
		return append(dst, s.value)
	}
	last := s.value &^ several
	for i := t.more[last].next; limit > 0; i = t.more[i].next {
		dst = append(dst, t.more[i].value)
		limit--
		if i == last {
			break
		}
	}
	return dst
}

// blinded is the table by which a request without a host finds the values that ask for one.
func (t *table) blinded() table {
	var b table
	for _, e := range t.blind {
		b.add(e.tag, e.value, 0)
	}
	return b
}

func (t *table) empty() bool { return t.tags == 0 }
