// Package fronttest puts Debian's nginx in front of a handler that is tested, as hospitals
// have it in front of their backends.
package fronttest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// config has two servers: one that hands WebSocket handshakes on, and one as a newcomer
// writes it, which speaks HTTP/1.0 to the backend and drops the header Upgrade. Both buffer
// answers, which is what nginx does unless it is told otherwise.
var config = template.Must(template.New("").Parse(`
daemon off;
worker_processes 1;
{{if .Root}}user root;{{end}}
pid {{.Folder}}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	proxy_buffering on;
	client_body_temp_path {{.Folder}}/body;
	proxy_temp_path {{.Folder}}/proxy;
	fastcgi_temp_path {{.Folder}}/fastcgi;
	uwsgi_temp_path {{.Folder}}/uwsgi;
	scgi_temp_path {{.Folder}}/scgi;
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	server {
		listen {{.Whole}};
		location / {
			proxy_pass {{.Target}};
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
		}
	}
	server {
		listen {{.Plain}};
		location / {
			proxy_pass {{.Target}};
			proxy_set_header Host $http_host;
		}
	}
}
`))

// Nginx is a running nginx. It ends with the test.
type Nginx struct {
	Whole string // the URL of the server that hands WebSocket handshakes on
	Plain string // the URL of the one that does not
}

// Find returns nginx, and skips the test where there is none.
func Find(t *testing.T) string {
	t.Helper()
	// Debian has it where only root looks.
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("nginx is not installed: Debian's package nginx has it")
	return ""
}

// Start starts nginx in front of target, a URL without a path. It skips the test where there
// is no nginx.
func Start(t *testing.T, target string) Nginx {
	t.Helper()
	path, folder := Find(t), t.TempDir()
	// nginx takes the ports over as open sockets, as when it upgrades itself: nobody else can
	// get them in between, and who connects before it runs waits.
	whole, wholeFile := port(t)
	plain, plainFile := port(t)
	var text bytes.Buffer
	err := config.Execute(&text, map[string]any{
		"Folder": folder, "Whole": whole, "Plain": plain, "Target": target, "Root": os.Geteuid() == 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(conf, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", folder, "-c", conf, "-e", "stderr")
	cmd.ExtraFiles = []*os.File{wholeFile, plainFile}
	cmd.Env = append(os.Environ(), "NGINX=3;4;")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = wholeFile.Close(), plainFile.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it ends its worker
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(strings.TrimSpace(log.String()))
		}
	})
	return Nginx{Whole: "http://" + whole, Plain: "http://" + plain}
}

func port(t *testing.T) (address string, file *os.File) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err = listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String(), file
}
