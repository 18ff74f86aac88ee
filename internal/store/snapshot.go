package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Keep replaces the last good snapshot by the answer that the open cycle got.
func (s *Store) Keep(ctx context.Context, cycle int64, snap connectors.Snapshot) error {
	data, err := encodeSnapshot(snap)
	if err != nil {
		return fmt.Errorf("keep snapshot: %w", err)
	}
	return s.record(ctx, "keep snapshot", func(t *tx) error {
		if err := s.isOpen(t, cycle); err != nil {
			return err
		}
		return t.exec(`INSERT INTO snapshots (pipeline, cycle, taken, data) VALUES ($1, $2, $3, $4)
			ON CONFLICT (pipeline) DO UPDATE SET cycle = excluded.cycle, taken = excluded.taken, data = excluded.data`, s.pipeline, cycle, millis(s.now()), data)
	})
}

// Previous returns the last good snapshot and when it was kept, nil when there is none. It needs no lock.
func (s *Store) Previous(ctx context.Context) (*connectors.Snapshot, time.Time, error) {
	var snap *connectors.Snapshot
	var taken int64
	err := each(ctx, s.ro, func(rows *sql.Rows) error {
		var data sql.RawBytes
		if err := rows.Scan(&taken, &data); err != nil {
			return err
		}
		read, err := decodeSnapshot(data)
		snap = &read
		return err
	}, `SELECT taken, data FROM snapshots WHERE pipeline = $1`, s.pipeline)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read last snapshot: %w", s.db.explain(err))
	}
	if snap == nil {
		return nil, time.Time{}, nil
	}
	return snap, fromMillis(taken), nil
}

// snapshotFormat leads a kept snapshot. Any change to what follows it needs another number; fields that are added to
// connectors.User or connectors.Group do not, they read as empty.
const snapshotFormat = 1

// After the format comes, compressed, a stream of gob: the head, the users, the groups.
type snapshotHead struct {
	Users, Groups int
}

// A snapshotGroup has its members as places in the list of all ids: those of the users, then the strangers as the groups
// name them first. Users and members are sorted, so the distances between places are small and a membership takes a
// byte or two instead of an id.
type snapshotGroup struct {
	Group     connectors.Group // without members
	Strangers []connectors.UserID
	Distances []int32
}

func encodeSnapshot(s connectors.Snapshot) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte(snapshotFormat)
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	enc := gob.NewEncoder(zip)
	if err := enc.Encode(snapshotHead{Users: len(s.Users), Groups: len(s.Groups)}); err != nil {
		return nil, err
	}
	places := make(map[connectors.UserID]int32, len(s.Users))
	for i := range s.Users {
		u := &s.Users[i]
		places[u.ID] = int32(i)
		if err := enc.Encode(u); err != nil {
			return nil, fmt.Errorf("user %s: %w", u.ID, err)
		}
	}
	next := int32(len(s.Users))
	for _, g := range s.Groups {
		row := snapshotGroup{Group: g, Distances: make([]int32, 0, len(g.Members))}
		row.Group.Members = nil
		last := int32(0)
		for _, id := range g.Members {
			place, ok := places[id]
			if !ok {
				place = next
				places[id] = place
				next++
				row.Strangers = append(row.Strangers, id)
			}
			row.Distances = append(row.Distances, place-last)
			last = place
		}
		if err := enc.Encode(row); err != nil {
			return nil, fmt.Errorf("group %s: %w", g.ID, err)
		}
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decodeSnapshot reads everything or gives an error: the checksum at the end is part of the reading.
func decodeSnapshot(data []byte) (connectors.Snapshot, error) {
	if len(data) > 0 && data[0] != snapshotFormat {
		return connectors.Snapshot{}, fmt.Errorf("it has format %d and this rootly-idp-sync knows %d (upgrade this binary)", data[0], snapshotFormat)
	}
	s, err := decodeSnapshotBody(data)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("it is damaged (restore the state from a backup, or move it away: the next run is then a first contact, which holds removals): %w", err)
	}
	return s, nil
}

func decodeSnapshotBody(data []byte) (connectors.Snapshot, error) {
	var s connectors.Snapshot
	if len(data) == 0 {
		return s, io.ErrUnexpectedEOF
	}
	zip, err := gzip.NewReader(bytes.NewReader(data[1:]))
	if err != nil {
		return s, err
	}
	dec := gob.NewDecoder(zip)
	var head snapshotHead
	if err := dec.Decode(&head); err != nil {
		return s, err
	}
	var ids []connectors.UserID
	for range head.Users {
		var u connectors.User
		if err := dec.Decode(&u); err != nil {
			return s, err
		}
		s.Users, ids = append(s.Users, u), append(ids, u.ID)
	}
	for range head.Groups {
		var row snapshotGroup
		if err := dec.Decode(&row); err != nil {
			return s, err
		}
		ids = append(ids, row.Strangers...)
		if row.Group.Members, err = members(row.Distances, ids); err != nil {
			return s, err
		}
		s.Groups = append(s.Groups, row.Group)
	}
	_, err = io.Copy(io.Discard, zip)
	return s, err
}

func members(distances []int32, ids []connectors.UserID) ([]connectors.UserID, error) {
	if len(distances) == 0 {
		return nil, nil
	}
	list := make([]connectors.UserID, 0, len(distances))
	place := int32(0)
	for _, d := range distances {
		place += d
		if place < 0 || int(place) >= len(ids) {
			return nil, errors.New("a member is not in the list of ids")
		}
		list = append(list, ids[place])
	}
	return list, nil
}
