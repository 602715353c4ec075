package message

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// layouts are the files that all languages share.
var layouts = []string{"email.txt", "email.html", "sms.txt"}

// wanted tells how files are named.
const wanted = "want email.txt, email.html, sms.txt or a language and .tmpl"

// A sources map tells which file system each template is read from, by the name of its file.
type sources map[string]fs.FS

// find looks for templates in fsys and takes the others from the built-in ones. A file that nothing would use is a
// mistake, since its name is probably misspelt. Folders are ignored.
func find(fsys, builtIn fs.FS) (from sources, errs []error) {
	from = sources{}
	own, errs := list(fsys)
	for _, name := range own {
		from[name] = fsys
	}
	if len(from) == 0 && errs == nil {
		errs = append(errs, errors.New("message: none of the files is a template; "+wanted))
	}
	if len(from.languages()) == 0 {
		shipped, more := list(builtIn)
		errs = append(errs, more...)
		for _, name := range shipped {
			if isLanguage(name) {
				from[name] = builtIn
			}
		}
	}
	for _, name := range layouts {
		if from[name] == nil {
			from[name] = builtIn
		}
	}
	return from, errs
}

// list returns the names of the templates at the top level of fsys.
func list(fsys fs.FS) (names []string, errs []error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, []error{fmt.Errorf("message: list templates: %w", err)}
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case isFolder(fsys, entry):
		case slices.Contains(layouts, name) || isLanguage(name):
			names = append(names, name)
		default:
			errs = append(errs, fmt.Errorf("message: %s: not a template's name; %s", name, wanted))
		}
	}
	return names, errs
}

// isFolder follows links: where files are replaced all at once, the folder that holds them is often reached by one.
func isFolder(fsys fs.FS, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir()
	}
	info, err := fs.Stat(fsys, entry.Name())
	return err == nil && info.IsDir()
}

// isLanguage reports whether a file is named as the phrases of a language are.
func isLanguage(name string) bool {
	tag, ok := strings.CutSuffix(name, ".tmpl")
	_, err := language.Parse(tag)
	return ok && err == nil
}

// languages returns the names of the files with phrases: English first, then by name.
func (s sources) languages() []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s)), func(name string) bool { return slices.Contains(layouts, name) })
	if i := slices.Index(names, "en.tmpl"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "en.tmpl")
	}
	return names
}
