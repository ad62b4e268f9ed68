// Package secret keeps the passwords in URLs out of what people read.
package secret

import (
	"errors"
	"net/url"
	"strings"
)

// URLs returns a comma list of URLs without their users and passwords.
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

// Err returns err without the URL that could not be parsed: the standard library quotes
// it, and what it takes for a port may be the password.
func Err(err error) error {
	if unread, ok := errors.AsType[*url.Error](err); ok && unread.Op == "parse" {
		return errParse
	}
	return err
}
