package bundle

import "errors"

func tileName(name string) bool { return false }

func (p *pass) tiles() error { return errors.New("not yet") }

func (b *builder) tileMembers() error { return errors.New("not yet") }

func (p *Plan) splitRange(limit int64) error { return errors.New("not yet") }
