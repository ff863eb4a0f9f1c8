package guard

import (
	"io/fs"
	"net/http"
)

// Files serves the files of a folder, and of its folders, but no list of them.
func Files(folder fs.FS) http.Handler { return http.FileServerFS(onlyFiles{folder}) }

type onlyFiles struct{ fs.FS }

// Open finds no folders, and so no index.html of one either.
func (f onlyFiles) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
