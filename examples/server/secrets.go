package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/seed62b93bad/passwordless"
)

// secrets are what a Service derives and signs with.
type secrets struct {
	hasher  *passwordless.Keyring
	signing []passwordless.SigningKey
}

// A secretsFile is secrets as JSON. Bytes are in base64.
type secretsFile struct {
	Keys        []fileKey `json:"keys"`         // the ring, the current one first
	IndexKey    []byte    `json:"index_key"`    // never changes
	SigningKeys []fileKey `json:"signing_keys"` // in PKCS #8
}

type fileKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

// openSecrets reads the secrets, or makes them if this is the first start.
func (a *app) openSecrets() (secrets, error) {
	a.secretsFile = a.set.secretsFile(a.world)
	if a.secretsFile == "" {
		made, err := newSecrets()
		if err != nil {
			return secrets{}, err
		}
		return made.secrets()
	}
	s, err := readSecrets(a.secretsFile)
	if errors.Is(err, fs.ErrNotExist) {
		if a.set.storeInUse() {
			return s, fmt.Errorf("secrets: %s is gone, and without it nobody in the store can be found: "+
				"restore it, or begin with another store", a.secretsFile)
		}
		err = writeSecrets(a.secretsFile)
		if err == nil || errors.Is(err, fs.ErrExist) { // another server was quicker
			s, err = readSecrets(a.secretsFile)
		}
	}
	if err != nil {
		return s, fmt.Errorf("secrets: %w", err)
	}
	return s, nil
}

// secretsFile is where the secrets are: where the world says, or beside the store. Servers that share a
// store share them: on several machines each needs a copy.
func (s settings) secretsFile(w world) string {
	kind, path := s.storeKind()
	switch {
	case w.Secrets != "":
		return w.Secrets
	case kind == "memory":
		return ""
	case kind == "sqlite":
		return path + ".secrets.json"
	}
	return dataFile(kind + ".secrets.json")
}

// storeInUse reports whether the store surely holds something.
func (s settings) storeInUse() bool {
	kind, path := s.storeKind()
	if kind != "sqlite" {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

// newSecrets makes one of everything that is needed.
func newSecrets() (secretsFile, error) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return secretsFile{}, err
	}
	rs, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return secretsFile{}, err
	}
	f := secretsFile{
		Keys:     []fileKey{{newID("k"), passwordless.RandomKey()}},
		IndexKey: passwordless.RandomKey(),
	}
	for _, key := range []crypto.Signer{ec, rs} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return secretsFile{}, err
		}
		f.SigningKeys = append(f.SigningKeys, fileKey{newID("s"), der})
	}
	return f, nil
}

// newID names a key so that it is never taken for another one.
func newID(prefix string) string { return prefix + "-" + rand.Text()[:12] }

// writeSecrets makes secrets and writes them all or not at all. An error that matches fs.ErrExist means
// that they are there already.
func writeSecrets(path string) error {
	made, err := newSecrets()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(made, "", "\t")
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, ".secrets-") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(append(text, '\n'))
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Link(draft.Name(), path) // unlike a rename, it replaces nothing
}

// readSecrets reads a file that nobody else may read.
func readSecrets(path string) (secrets, error) {
	file, err := os.Open(path)
	if err != nil {
		return secrets{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return secrets{}, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return secrets{}, fmt.Errorf("%s has mode %04o, so that others can use it: want 0600", path, info.Mode().Perm())
	}
	var f secretsFile
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&f)
	if err == nil {
		err = atEnd(decoder)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("%s: %w", path, err)
	}
	s, err := f.secrets()
	if err != nil {
		return s, fmt.Errorf("%s:\n%w", path, err)
	}
	return s, nil
}

// secrets decodes the keys, and tells everything that is missing. What is too weak is for passwordless.New to tell.
func (f secretsFile) secrets() (secrets, error) {
	var s secrets
	var errs []error
	var ring []passwordless.RingKey
	for _, k := range f.Keys {
		ring = append(ring, passwordless.RingKey{ID: k.ID, Secret: k.Key})
	}
	s.hasher = passwordless.NewKeyring(f.IndexKey, ring...)
	var es256, rs256 bool
	for i, k := range f.SigningKeys {
		parsed, err := x509.ParsePKCS8PrivateKey(k.Key)
		signer, ok := parsed.(crypto.Signer)
		if err != nil || !ok {
			errs = append(errs, fmt.Errorf("signing_keys[%d]: not a private key in PKCS #8", i))
			continue
		}
		_, ec := signer.(*ecdsa.PrivateKey)
		_, rs := signer.(*rsa.PrivateKey)
		es256, rs256 = es256 || ec, rs256 || rs
		s.signing = append(s.signing, passwordless.SigningKey{ID: k.ID, Key: signer})
	}
	for name, there := range map[string]bool{"keys": len(f.Keys) > 0, "index_key": len(f.IndexKey) > 0,
		"an ECDSA key in signing_keys": es256, "an RSA key in signing_keys": rs256} {
		if !there {
			errs = append(errs, errors.New("lacks "+name))
		}
	}
	return s, errors.Join(errs...)
}
