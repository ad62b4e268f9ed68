package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

var (
	headEnd   = []byte("\r\n\r\n")
	lengthIs  = []byte("\r\nContent-Length: ")
	isChunked = []byte("\r\nTransfer-Encoding: chunked\r\n")
	chunksEnd = []byte("\r\n0\r\n\r\n")
)

// errAnswer is wrapped where an answer is not what net/http writes.
var errAnswer = errors.New("answer is not understood")

// appendRequest appends a whole request to b; key is its idempotency key, or empty.
func appendRequest(b []byte, method string, path, key, body []byte) []byte {
	b = append(append(append(b, method...), ' '), path...)
	b = append(b, " HTTP/1.1\r\nHost: bench\r\n"...)
	if len(key) > 0 {
		b = append(append(append(b, "Idempotency-Key: "...), key...), '\r', '\n')
	}
	if len(body) > 0 {
		b = append(b, "Content-Type: application/json\r\n"...)
	}
	if method != "GET" {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10)
		b = append(b, '\r', '\n')
	}
	return append(append(b, '\r', '\n'), body...)
}

// readAnswer takes an answer of a net/http server apart. whole is false while
// more of it is to come. The body of a long answer still has its chunk sizes.
func readAnswer(b []byte) (status int, body []byte, whole bool, err error) {
	head := bytes.Index(b, headEnd)
	if head < 0 {
		return 0, nil, false, nil
	}
	const statusAt = len("HTTP/1.1 ")
	if head < statusAt+3 {
		return 0, nil, false, fmt.Errorf("%w: %.80q", errAnswer, b)
	}
	if status, err = strconv.Atoi(string(b[statusAt : statusAt+3])); err != nil {
		return 0, nil, false, fmt.Errorf("%w: %.80q", errAnswer, b)
	}
	body = b[head+len(headEnd):]
	if at := bytes.Index(b[:head], lengthIs); at >= 0 {
		text, _, _ := bytes.Cut(b[at+len(lengthIs):head], []byte("\r"))
		length, err := strconv.Atoi(string(text))
		if err != nil || len(body) > length {
			return 0, nil, false, fmt.Errorf("%w: %d bytes of body, %.200q", errAnswer, len(body), b)
		}
		return status, body, len(body) == length, nil
	}
	if !bytes.Contains(b[:head+2], isChunked) {
		return 0, nil, false, fmt.Errorf("%w: no length: %.200q", errAnswer, b)
	}
	return status, body, bytes.HasSuffix(body, chunksEnd), nil
}

// valueOf finds the text of a field in a JSON document that has no spaces.
func valueOf(body []byte, field string) []byte {
	_, after, found := bytes.Cut(body, []byte(`"`+field+`":"`))
	if !found {
		return nil
	}
	value, _, _ := bytes.Cut(after, []byte(`"`))
	return value
}
