package hot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Load reads the wanted parts. They may be of different moments; a commit that
// expects the parts it depends on finds out. With Want.Dirty they are of one.
func (s *Store) Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	out, err := s.load(ctx, char, want)
	if err != nil {
		return nil, fmt.Errorf("load character %d: %w", char, err)
	}
	return out, nil
}

// replies are the answers of the one pipeline that Load sends.
type replies struct {
	ac, vitals, progress *redis.MapStringStringCmd
	items, scenarios     *redis.MapStringStringCmd
	transfers            *redis.MapStringStringCmd
	some                 *redis.SliceCmd
	marks                *redis.MapStringStringCmd
	run, beginning       *redis.Cmd
	request, old         *redis.StringCmd
	sessions             map[uuid.UUID]*redis.MapStringStringCmd
}

func (s *Store) load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	var r replies
	send := s.pipelined
	if want.Dirty {
		// Marks mean something only together with the copy that they belong to: if Redis
		// were emptied between the two reads, the copy would seem to have none.
		send = s.transaction
	}
	err := send(ctx, func(p redis.Pipeliner) {
		if want.Beginning {
			r.beginning = queue(ctx, p, fnBeginning, []string{s.indexes.key(indexBeginning, char)})
		}
		r.send(ctx, p, char, want)
	})
	if err != nil {
		return nil, unavailable(err)
	}
	out, err := r.read(char, want)
	if err != nil {
		return nil, err
	}
	if want.Sessions {
		err = s.loadSessions(ctx, &out.State, &r)
	}
	return out, err
}

func (r *replies) send(ctx context.Context, p redis.Pipeliner, char events.CharID, want game.Want) {
	r.ac = p.HGetAll(ctx, keyContexts(char))
	r.run = queue(ctx, p, fnRun, []string{keyContexts(char)})
	if want.Vitals {
		r.vitals = p.HGetAll(ctx, keyVitals(char))
	}
	if want.Progress {
		r.progress = p.HGetAll(ctx, keyProgress(char))
	}
	if want.AllItems {
		r.items = p.HGetAll(ctx, keyItems(char))
	} else if len(want.Items) > 0 {
		r.some = p.HMGet(ctx, keyItems(char), want.Items...)
	}
	if want.Scenarios {
		r.scenarios = p.HGetAll(ctx, keyScenarios(char))
	}
	if want.Transfers {
		r.transfers = p.HGetAll(ctx, keyTransfers(char))
	}
	if want.Sessions {
		r.sessions = make(map[uuid.UUID]*redis.MapStringStringCmd)
		for _, id := range want.Likely {
			r.sessions[id] = p.HGetAll(ctx, keySession(char, id))
		}
	}
	if want.Dirty {
		r.marks = p.HGetAll(ctx, keyMarks(char))
	}
	if want.Request != "" {
		r.request = p.HGet(ctx, keyRequests(char), want.Request)
		r.old = p.HGet(ctx, keyRequestsOld(char), want.Request)
	}
}

func (r *replies) read(char events.CharID, want game.Want) (*game.Loaded, error) {
	ac := fields{key: keyContexts(char), values: r.ac.Val()}
	out := &game.Loaded{Known: len(ac.values) > 0, Verified: ac.values["run"] != "" && ac.values["run"] == r.run.Val()}
	st := &out.State
	st.Char, st.Version, st.Copy = char, ac.version("version"), ac.values[fieldCopy]
	st.Parts = make(map[game.Part]events.Version, len(game.Parts))
	for _, part := range game.Parts {
		st.Parts[part] = ac.version(partField(part))
	}
	st.Contexts = readContexts(&ac)
	out.LastSeen = ac.version("last_seen").Time()
	if ac.err != nil {
		return nil, ac.err
	}
	if want.Beginning {
		var err error
		if out.Beginning, out.Age, err = readBeginning(r.beginning); err != nil {
			return nil, err
		}
	}
	if want.Request != "" {
		out.Record = cmp.Or(r.request.Val(), r.old.Val())
	}
	return out, r.readRows(st, want)
}

func readContexts(ac *fields) game.Contexts {
	contexts := game.Contexts{Version: ac.version(partField(game.PartContexts)), Active: map[game.Context]uuid.UUID{}}
	for _, context := range game.AllContexts {
		if id := ac.uuid(contextField(context)); id != uuid.Nil {
			contexts.Active[context] = id
		}
	}
	return contexts
}

// fieldCopy names the copy: each join gives it another name.
const fieldCopy = "copy"

func partField(p game.Part) string       { return string(p) + "_version" }
func contextField(c game.Context) string { return string(c) + "_session_id" }

func (r *replies) readRows(st *game.State, want game.Want) (err error) {
	if want.Vitals {
		if st.Vitals, err = decodeVitals(keyVitals(st.Char), r.vitals.Val()); err != nil {
			return err
		}
	}
	if want.Progress {
		f := fields{key: keyProgress(st.Char), values: r.progress.Val()}
		if st.Progress = (game.Progress{XP: f.int64("xp"), Version: f.version("version")}); f.err != nil {
			return f.err
		}
	}
	if want.Scenarios {
		st.Scenarios, err = decodeRows(keyScenarios(st.Char), r.scenarios.Val(), decodeScenario)
		if err != nil {
			return err
		}
	}
	if want.Transfers {
		if st.Transfers, err = decodeTransfers(keyTransfers(st.Char), r.transfers.Val()); err != nil {
			return err
		}
	}
	if r.marks != nil {
		st.Dirty = readMarks(r.marks.Val())
	}
	return r.readItems(st, want)
}

func (r *replies) readItems(st *game.State, want game.Want) (err error) {
	found := map[string]string{}
	switch {
	case want.AllItems:
		found = r.items.Val()
	case r.some != nil:
		for i, value := range r.some.Val() {
			if text, ok := value.(string); ok {
				found[want.Items[i]] = text
			}
		}
	}
	st.Items, err = decodeRows(keyItems(st.Char), found, decodeItem)
	return err
}

func readMarks(values map[string]string) events.RowVersions {
	marks := make(events.RowVersions, len(values))
	for row, text := range values {
		v, _ := strconv.ParseInt(text, 10, 64) // a text that somebody else wrote counts as 0, older than any change
		marks[events.RowKey(row)] = events.Version(v)
	}
	return marks
}

// loadSessions reads the open sessions and, where the marks are wanted, the fights
// that have ended and are not saved: those that r does not hold already.
func (s *Store) loadSessions(ctx context.Context, st *game.State, r *replies) error {
	ids := sessionsOf(st)
	unread := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return r.sessions[id] != nil })
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for _, id := range unread {
			r.sessions[id] = p.HGetAll(ctx, keySession(st.Char, id))
		}
	})
	if err != nil {
		return unavailable(err)
	}
	st.Sessions = make(map[uuid.UUID]game.Session, len(ids))
	for _, id := range ids {
		values := r.sessions[id].Val()
		if len(values) == 0 {
			continue
		}
		if st.Sessions[id], err = decodeSession(keySession(st.Char, id), values); err != nil {
			return err
		}
	}
	return nil
}

func sessionsOf(st *game.State) (ids []uuid.UUID) {
	for _, id := range st.Contexts.Active {
		ids = append(ids, id)
	}
	for row := range st.Dirty {
		if id, ok := row.Fight(); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
