package convert

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"cloudletmig/internal/redirect"
)

// misread says, in words, how a parser reads a rule's text otherwise than the rule was meant; empty where it does not.
func misread(meant *redirect.Rule, text []byte) string {
	read, err := redirect.Parse(text)
	if err != nil {
		return fmt.Sprintf("its rule is written as %s, which cannot be read: %v", shown(string(text)), err)
	}
	if !sameRule(meant, &read) {
		return fmt.Sprintf("its rule is written as %s, which says something else", shown(string(text)))
	}
	return ""
}

// sameRule reports whether a rule that was read says what another does, member by member. Lists that are nil and empty
// are alike, and so are a byte that is not UTF-8 and the U+FFFD that a text has in its place.
func sameRule(meant, read *redirect.Rule) bool {
	return sameText(meant.Name, read.Name) && meant.Start == read.Start && meant.End == read.End &&
		meant.Disabled == read.Disabled && meant.MatchesAlways == read.MatchesAlways &&
		sameText(meant.MatchURL, read.MatchURL) && meant.StatusCode == read.StatusCode && sameText(meant.RedirectURL, read.RedirectURL) &&
		meant.UseRelativeURL == read.UseRelativeURL && meant.UseIncomingQueryString == read.UseIncomingQueryString &&
		meant.UseIncomingSchemeAndHost == read.UseIncomingSchemeAndHost && slices.Equal(meant.Unknown, read.Unknown) &&
		slices.EqualFunc(meant.Matches, read.Matches, func(a, b redirect.Match) bool { return equalMatch(&a, &b) })
}

func equalMatch(meant, read *redirect.Match) bool {
	if (meant.Object == nil) != (read.Object == nil) {
		return false
	}
	return meant.Type == read.Type && meant.Operator == read.Operator && sameText(meant.Value, read.Value) &&
		sameText(meant.CheckIPs, read.CheckIPs) && meant.CaseSensitive == read.CaseSensitive && meant.Negate == read.Negate &&
		(meant.Object == nil || equalObject(meant.Object, read.Object))
}

func equalObject(meant, read *redirect.Object) bool {
	return meant.Type == read.Type && sameText(meant.Name, read.Name) &&
		meant.NameCaseSensitive == read.NameCaseSensitive && meant.NameHasWildcard == read.NameHasWildcard &&
		slices.EqualFunc(meant.Values, read.Values, sameText) && meant.ValueHasWildcard == read.ValueHasWildcard &&
		meant.ValueCaseSensitive == read.ValueCaseSensitive && meant.ValueEscaped == read.ValueEscaped
}

func sameText(meant, read string) bool {
	return meant == read || !utf8.ValidString(meant) && string([]rune(meant)) == read
}
