package sheet

import "strings"

// Row is one row: its cells by canonical column. Every cell is text with the blanks at both ends cut off, but a blank
// escaped as `\ ` at the end stays. A cell is empty where the sheet has no such column.
type Row struct {
	Line int `csv:"-"` // 1-based line of the file on which the row begins; of an .xlsx the number of the row

	Name                     string `csv:"ruleName"`
	Source                   string `csv:"matchURL"`
	Target                   string `csv:"result.redirectURL"`
	Status                   string `csv:"result.statusCode"`
	Scheme                   string `csv:"scheme"`
	Host                     string `csv:"host"`
	Path                     string `csv:"path"`
	Query                    string `csv:"query"`
	Regex                    string `csv:"regex"`
	Cookie                   string `csv:"cookie"`
	Header                   string `csv:"header"`
	Extension                string `csv:"extension"`
	Method                   string `csv:"method"`
	ClientIP                 string `csv:"clientIP"`
	ClientIPv6               string `csv:"clientIPv6"`
	Proxy                    string `csv:"proxy"`
	Device                   string `csv:"deviceCharacteristics"`
	Continent                string `csv:"continentCode"`
	Country                  string `csv:"countryCode"`
	Region                   string `csv:"regionCode"`
	MatchesAlways            string `csv:"matchesAlways"`
	Disabled                 string `csv:"disabled"`
	Start                    string `csv:"start"`
	End                      string `csv:"end"`
	UseIncomingQueryString   string `csv:"result.useIncomingQueryString"`
	UseIncomingSchemeAndHost string `csv:"result.useIncomingSchemeAndHost"`
	UseRelativeURL           string `csv:"result.useRelativeUrl"`
}

// Column is one of the columns that a sheet may have.
type Column int

// The columns, in the order of the fields of Row.
const (
	NameColumn Column = iota
	SourceColumn
	TargetColumn
	StatusColumn
	SchemeColumn
	HostColumn
	PathColumn
	QueryColumn
	RegexColumn
	CookieColumn
	HeaderColumn
	ExtensionColumn
	MethodColumn
	ClientIPColumn
	ClientIPv6Column
	ProxyColumn
	DeviceColumn
	ContinentColumn
	CountryColumn
	RegionColumn
	MatchesAlwaysColumn
	DisabledColumn
	StartColumn
	EndColumn
	UseIncomingQueryStringColumn
	UseIncomingSchemeAndHostColumn
	UseRelativeURLColumn
)

// Columns is how many there are.
const Columns = int(UseRelativeURLColumn) + 1

// headers are the canonical headers, as Control Center spells them.
var headers = [Columns]string{ //nolint:gochecknoglobals // a table that is only read
	NameColumn:                     "ruleName",
	SourceColumn:                   "matchURL",
	TargetColumn:                   "result.redirectURL",
	StatusColumn:                   "result.statusCode",
	SchemeColumn:                   "scheme",
	HostColumn:                     "host",
	PathColumn:                     "path",
	QueryColumn:                    "query",
	RegexColumn:                    "regex",
	CookieColumn:                   "cookie",
	HeaderColumn:                   "header",
	ExtensionColumn:                "extension",
	MethodColumn:                   "method",
	ClientIPColumn:                 "clientIP",
	ClientIPv6Column:               "clientIPv6",
	ProxyColumn:                    "proxy",
	DeviceColumn:                   "deviceCharacteristics",
	ContinentColumn:                "continentCode",
	CountryColumn:                  "countryCode",
	RegionColumn:                   "regionCode",
	MatchesAlwaysColumn:            "matchesAlways",
	DisabledColumn:                 "disabled",
	StartColumn:                    "start",
	EndColumn:                      "end",
	UseIncomingQueryStringColumn:   "result.useIncomingQueryString",
	UseIncomingSchemeAndHostColumn: "result.useIncomingSchemeAndHost",
	UseRelativeURLColumn:           "result.useRelativeUrl",
}

// String is the canonical header, as Control Center spells it.
func (c Column) String() string {
	if c < 0 || int(c) >= Columns {
		return ""
	}
	return headers[c]
}

// Cell gives the cell in a column.
func (r *Row) Cell(c Column) string { return *r.cell(c) }

// SetCell puts text into the cell in a column.
func (r *Row) SetCell(c Column, text string) { *r.cell(c) = text }

func (r *Row) cell(c Column) *string { //nolint:funlen // a line or two for every column
	switch c {
	case NameColumn:
		return &r.Name
	case SourceColumn:
		return &r.Source
	case TargetColumn:
		return &r.Target
	case StatusColumn:
		return &r.Status
	case SchemeColumn:
		return &r.Scheme
	case HostColumn:
		return &r.Host
	case PathColumn:
		return &r.Path
	case QueryColumn:
		return &r.Query
	case RegexColumn:
		return &r.Regex
	case CookieColumn:
		return &r.Cookie
	case HeaderColumn:
		return &r.Header
	case ExtensionColumn:
		return &r.Extension
	case MethodColumn:
		return &r.Method
	case ClientIPColumn:
		return &r.ClientIP
	case ClientIPv6Column:
		return &r.ClientIPv6
	case ProxyColumn:
		return &r.Proxy
	case DeviceColumn:
		return &r.Device
	case ContinentColumn:
		return &r.Continent
	case CountryColumn:
		return &r.Country
	case RegionColumn:
		return &r.Region
	case MatchesAlwaysColumn:
		return &r.MatchesAlways
	case DisabledColumn:
		return &r.Disabled
	case StartColumn:
		return &r.Start
	case EndColumn:
		return &r.End
	case UseIncomingQueryStringColumn:
		return &r.UseIncomingQueryString
	case UseIncomingSchemeAndHostColumn:
		return &r.UseIncomingSchemeAndHost
	case UseRelativeURLColumn:
		return &r.UseRelativeURL
	case none:
	}
	return new(string)
}

// trim cuts the blanks at both ends, but not the one of a `\ ` at the end.
func trim(cell string) string {
	if cell == "" || plain(cell[0]) && plain(cell[len(cell)-1]) {
		return cell
	}
	bare := strings.TrimSpace(cell)
	if !strings.HasSuffix(bare, `\`) {
		return bare
	}
	at := strings.Index(cell, bare)
	if after := cell[at+len(bare):]; strings.HasPrefix(after, " ") {
		return cell[at : at+len(bare)+1]
	}
	return bare
}

// plain tells whether a byte is a character on its own and no blank.
func plain(b byte) bool { return b > ' ' && b < 0x7f }

// blank tells whether none of the cells holds anything.
func blank(cells []string) bool {
	for _, cell := range cells {
		if trim(cell) != "" {
			return false
		}
	}
	return true
}
