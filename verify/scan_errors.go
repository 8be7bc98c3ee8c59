package verify

import "fmt"

// newerError is ErrNewer with its place.
type newerError struct{ field, what string }

func (e *newerError) Error() string {
	return fmt.Sprintf("field %s: %s: %v", e.field, e.what, ErrNewer)
}
func (e *newerError) Unwrap() error { return ErrNewer }

// inField puts a field's name before the path of an error from inside it.
func inField(err error, name string) error {
	switch e := err.(type) {
	case *FieldError:
		e.Field = name + "." + e.Field
	case *GrammarError:
		if e.Field == "" {
			e.Field = name
		} else {
			e.Field = name + "." + e.Field
		}
	case *newerError:
		e.field = name + "." + e.field
	}
	return err
}

func elementName(f *fieldTable, items uint32) string {
	if !f.repeated {
		return f.name
	}
	return fmt.Sprintf("%s[%d]", f.name, items-1)
}

func orderError(start int, num, last uint32, m *messageTable) error {
	if num == 0 {
		return &GrammarError{Offset: start, Reason: "field number 0"}
	}
	name := fmt.Sprintf("%d", num)
	if num < uint32(len(m.fields)) && m.fields[num].kind != kindNone {
		name = m.fields[num].name
	}
	return &GrammarError{Offset: start, Field: name, Reason: fmt.Sprintf("out of order after field number %d", last)}
}
