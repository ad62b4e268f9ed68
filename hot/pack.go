package hot

import "encoding/binary"

// Lists reach commit.lua as one argument each: their texts one after the other, as
// cmsgpack.unpack reads them there. They are MessagePack's str, with which nothing else
// is written here but small numbers.

// appendTexts packs texts.
func appendTexts(b []byte, texts ...string) []byte {
	for _, text := range texts {
		switch n := len(text); {
		case n < 1<<5:
			b = append(b, 0xa0|byte(n))
		case n < 1<<8:
			b = append(b, 0xd9, byte(n))
		case n < 1<<16:
			b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
		default:
			b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
		}
		b = append(b, text...)
	}
	return b
}

// appendNumbers packs numbers from 0 to 65,535.
func appendNumbers(b []byte, numbers ...int) []byte {
	for _, n := range numbers {
		if n < 1<<7 {
			b = append(b, byte(n))
		} else {
			b = binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n))
		}
	}
	return b
}
