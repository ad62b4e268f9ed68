package doctor

// Severity orders findings.
type Severity string

// The severities.
const (
	// Critical: something acknowledged could be lost in a fault that the product
	// promises to survive, or nothing is saved any more.
	Critical Severity = "critical"
	// Warning: outside the promise, or a promise that holds by one copy only.
	Warning Severity = "warning"
	// Note: nothing to do, but to know.
	Note Severity = "note"
)

// The parts.
const (
	partRedis    = "redis"
	partNATS     = "nats"
	partPostgres = "postgresql"
	partClocks   = "clocks"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Part     string   `json:"part"`
	// Found is what is set, Risk what could be lost in which fault, and Fix what
	// to change; Fix may be empty in a note.
	Found string `json:"found"`
	Risk  string `json:"risk"`
	Fix   string `json:"fix,omitempty"`
}

// findings collects those of one part.
type findings struct {
	part string
	list []Finding
}

func (f *findings) add(severity Severity, found, risk, fix string) {
	f.list = append(f.list, Finding{severity, f.part, found, risk, fix})
}

// unread says that a part, or some of it, could not be read. Then nothing can be
// said for it, and silence must not pass for health.
func (f *findings) unread(what, err, fix string) {
	f.add(Critical, what+" cannot be read: "+err, "its settings are not judged, and while it is away a change has one copy less", fix)
}
