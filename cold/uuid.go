package cold

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// pgx does not know uuid.UUID. Left alone it finds out for each value anew that the type
// writes itself as text (driver.Valuer), which takes longer than all else in a row of
// combat_history.

// byteUUID is a UUID that pgx writes as its bytes.
type byteUUID uuid.UUID

// UUIDValue implements pgtype.UUIDValuer.
func (id byteUUID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: id, Valid: true}, nil }

// writeUUIDs teaches a connection to write UUIDs and lists of them.
func writeUUIDs(m *pgtype.Map) {
	m.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapUUID, wrapUUIDs}, m.TryWrapEncodePlanFuncs...)
}

func wrapUUID(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	id, ok := value.(uuid.UUID)
	return &uuidPlan{}, byteUUID(id), ok
}

func wrapUUIDs(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	ids, ok := value.([]uuid.UUID)
	return &uuidsPlan{}, pgtype.FlatArray[uuid.UUID](ids), ok
}

type uuidPlan struct{ next pgtype.EncodePlan }

func (p *uuidPlan) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *uuidPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(byteUUID(value.(uuid.UUID)), buf)
}

type uuidsPlan struct{ next pgtype.EncodePlan }

func (p *uuidsPlan) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *uuidsPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(pgtype.FlatArray[uuid.UUID](value.([]uuid.UUID)), buf)
}
