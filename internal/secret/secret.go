// Package secret keeps passwords, which addresses have in them, out of what people read.
package secret

import (
	"errors"
	"net/url"
	"strings"
)

// URLs is a comma list of URLs without who logs in there.
func URLs(list string) string {
	urls := strings.Split(list, ",")
	for i, text := range urls {
		scheme, rest, found := strings.Cut(text, "://")
		if !found {
			scheme, rest = "", text
		}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			urls[i] = rest[at+1:]
			if found {
				urls[i] = scheme + "://…@" + rest[at+1:]
			}
		}
	}
	return strings.Join(urls, ",")
}

var errParse = errors.New("not a URL; of its user and password all but letters and digits is written as %2F for a slash, and so on")

// Err is an error without the URL that could not be parsed: the standard library quotes
// it, and what it takes for a port may be the password.
func Err(err error) error {
	if unread, ok := errors.AsType[*url.Error](err); ok && unread.Op == "parse" {
		return errParse
	}
	return err
}
