package message

import (
	"errors"
	"fmt"
	"strings"
)

// try writes a message of each kind and reports the first mistake of each channel.
func (r *Renderer) try(l *locale) (errs []error) {
	lives := []subjectData{{Minutes: 1}, {Minutes: 5}, {Hours: 3}}
	secrets := []messageData{
		{Code: "QZXWVK"},
		{Link: "https://link.invalid/?t=a"},
		{Code: "QZXWVK", Link: "https://link.invalid/?t=a", Cancel: "https://cancel.invalid/?t=b"},
	}
	for _, channel := range []string{Email, SMS} {
		var mistake error
		for _, d := range secrets {
			for _, life := range lives {
				for _, purpose := range []string{SignIn, "other"} {
					d.subjectData = life
					d.App, d.Locale, d.Purpose = "App", l.tag, purpose
					if mistake == nil {
						mistake = r.tryOne(l, channel, d)
					}
				}
			}
		}
		if mistake != nil {
			errs = append(errs, fmt.Errorf("message: templates of %s: %s: %w", l.tag, channel, mistake))
		}
	}
	return errs
}

// tryOne reports whether the templates write d as they must.
func (r *Renderer) tryOne(l *locale, channel string, d messageData) error {
	w, err := r.write(l, channel, d)
	if err != nil {
		return err
	}
	for _, secret := range []string{d.Code, d.Link} {
		if !strings.Contains(w.Text, secret) {
			return errors.New("the text leaves out the code or the link")
		}
		if channel == Email && !strings.Contains(w.HTML, secret) {
			return errors.New("the HTML leaves out the code or the link")
		}
	}
	if strings.ContainsFunc(strings.ReplaceAll(w.Text, "\n", ""), notGraphic) {
		return errors.New("the text has a control character")
	}
	if channel == Email && (w.Subject == "" || strings.ContainsFunc(w.Subject, notGraphic)) {
		return errors.New("the subject is empty, has several lines or a control character")
	}
	return nil
}
