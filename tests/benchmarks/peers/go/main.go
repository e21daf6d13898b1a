// Go's own HTTP server with pgx and golang-jwt, as in their documentation: pgx has a pool of
// connections and prepares each statement once per connection. One process uses as many cores as
// the other servers have workers.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const maxConnections = 20 // as many as the two workers of Fastify have

const columns = `id, user_id, title, description, complete, priority,
	completed_at, created_at, updated_at`

const (
	listSQL = `SELECT ` + columns + ` FROM tasks_task WHERE user_id = $1 AND deleted_at IS NULL
		ORDER BY created_at DESC, id DESC LIMIT 1000`
	readSQL = `SELECT ` + columns + ` FROM tasks_task
		WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL`
	createSQL = `INSERT INTO tasks_task (user_id, title, description, complete, priority, completed_at)
		VALUES ($1, $2, $3, $4, $5, CASE WHEN $4 THEN now() END) RETURNING ` + columns
	updateSQL = `UPDATE tasks_task SET title = coalesce($3, title),
			description = CASE WHEN $4 THEN $5 ELSE description END,
			complete = coalesce($6, complete), priority = coalesce($7, priority),
			completed_at = CASE WHEN coalesce($6, complete) THEN coalesce(completed_at, now()) END,
			updated_at = now()
		WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL RETURNING ` + columns
	deleteSQL = `UPDATE tasks_task SET deleted_at = now()
		WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL`
)

type task struct {
	ID          int64      `json:"id"`
	UserID      string     `json:"user_id"`
	Title       string     `json:"title"`
	Description *string    `json:"description"`
	Complete    bool       `json:"complete"`
	Priority    string     `json:"priority"`
	CompletedAt *time.Time `json:"completed_at"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

type taskList struct {
	Tasks []task `json:"tasks"`
	Count int    `json:"count"`
}

// A text that may be null, or missing.
type optional struct {
	isSet bool
	value *string
}

func (field *optional) UnmarshalJSON(data []byte) error {
	field.isSet = true
	return json.Unmarshal(data, &field.value)
}

type taskIn struct {
	Title       *string  `json:"title"`
	Description optional `json:"description"`
	Complete    *bool    `json:"complete"`
	Priority    *string  `json:"priority"`
}

func (given *taskIn) setDefaults() {
	complete, priority := false, "medium"
	given.Description.isSet = true
	if given.Complete == nil {
		given.Complete = &complete
	}
	if given.Priority == nil {
		given.Priority = &priority
	}
}

func (given *taskIn) isValid() bool {
	if title := given.Title; title != nil {
		if length := utf8.RuneCountInString(*title); length < 1 || length > 200 {
			return false
		}
	}
	if text := given.Description.value; text != nil && utf8.RuneCountInString(*text) > 1000 {
		return false
	}
	if given.Priority == nil {
		return true
	}
	return *given.Priority == "low" || *given.Priority == "medium" || *given.Priority == "high"
}

type server struct {
	pool   *pgxpool.Pool
	issuer string
	secret []byte
	keys   map[string]ed25519.PublicKey
	parser jwt.Parser
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // api, the user, tasks, and maybe an id
	if len(parts) < 3 || len(parts) > 4 || parts[0] != "api" || parts[2] != "tasks" {
		fail(w, http.StatusNotFound, "There is no such address.")
		return
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	user, err := s.subject(token)
	if err != nil || scheme != "Bearer" {
		fail(w, http.StatusUnauthorized, "Send a good token.")
		return
	}
	if user != parts[1] {
		fail(w, http.StatusForbidden, "This token belongs to another user.")
		return
	}
	if len(parts) == 3 {
		s.collection(w, r, user)
		return
	}
	id, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "The id is not a number.")
		return
	}
	s.item(w, r, user, id)
}

func (s *server) collection(w http.ResponseWriter, r *http.Request, user string) {
	switch r.Method {
	case http.MethodGet:
		s.list(w, r.Context(), user)
	case http.MethodPost:
		given, ok := body(w, r, true)
		if ok {
			s.one(w, r.Context(), http.StatusCreated, createSQL,
				user, given.Title, given.Description.value, given.Complete, given.Priority)
		}
	default:
		fail(w, http.StatusMethodNotAllowed, "This method is not allowed.")
	}
}

func (s *server) item(w http.ResponseWriter, r *http.Request, user string, id int64) {
	switch r.Method {
	case http.MethodGet:
		s.one(w, r.Context(), http.StatusOK, readSQL, id, user)
	case http.MethodPut, http.MethodPatch:
		given, ok := body(w, r, r.Method == http.MethodPut)
		if ok {
			s.one(w, r.Context(), http.StatusOK, updateSQL, id, user, given.Title,
				given.Description.isSet, given.Description.value, given.Complete, given.Priority)
		}
	case http.MethodDelete:
		done, err := s.pool.Exec(r.Context(), deleteSQL, id, user)
		if err == nil && done.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		if err != nil {
			failDatabase(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusMethodNotAllowed, "This method is not allowed.")
	}
}

func (s *server) list(w http.ResponseWriter, ctx context.Context, user string) {
	rows, err := s.pool.Query(ctx, listSQL, user)
	if err != nil {
		failDatabase(w, err)
		return
	}
	defer rows.Close()
	found := []task{}
	for rows.Next() {
		each, err := scan(rows)
		if err != nil {
			failDatabase(w, err)
			return
		}
		found = append(found, each)
	}
	if err := rows.Err(); err != nil {
		failDatabase(w, err)
		return
	}
	answer(w, http.StatusOK, taskList{found, len(found)})
}

func (s *server) one(
	w http.ResponseWriter, ctx context.Context, status int, statement string, values ...interface{},
) {
	found, err := scan(s.pool.QueryRow(ctx, statement, values...))
	if err != nil {
		failDatabase(w, err)
		return
	}
	answer(w, status, found)
}

func scan(row pgx.Row) (task, error) {
	var t task
	err := row.Scan(&t.ID, &t.UserID, &t.Title, &t.Description, &t.Complete, &t.Priority,
		&t.CompletedAt, &t.CreatedAt, &t.UpdatedAt)
	return t, err
}

// isWhole: the title is required, and what is missing gets its default.
func body(w http.ResponseWriter, r *http.Request, isWhole bool) (taskIn, bool) {
	var given taskIn
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&given)
	if err != nil || !given.isValid() || isWhole && given.Title == nil {
		fail(w, http.StatusUnprocessableEntity, "A field is wrong.")
		return given, false
	}
	if isWhole {
		given.setDefaults()
	}
	return given, true
}

func (s *server) subject(text string) (string, error) {
	var claims jwt.RegisteredClaims
	if _, err := s.parser.ParseWithClaims(text, &claims, s.keyOf); err != nil {
		return "", err
	}
	if claims.Subject == "" || claims.ExpiresAt == nil ||
		!claims.VerifyIssuer(s.issuer, true) || !claims.VerifyAudience(s.issuer, true) {
		return "", errors.New("a claim is missing or wrong")
	}
	return claims.Subject, nil
}

func (s *server) keyOf(token *jwt.Token) (interface{}, error) {
	if token.Method == jwt.SigningMethodHS256 {
		return s.secret, nil
	}
	name, _ := token.Header["kid"].(string)
	key, ok := s.keys[name]
	if !ok {
		return nil, errors.New("unknown key")
	}
	return key, nil
}

func answer(w http.ResponseWriter, status int, content interface{}) {
	data, err := json.Marshal(content)
	if err != nil {
		fail(w, http.StatusInternalServerError, "The answer cannot be written.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(data)
}

func fail(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"detail": detail})
}

func failDatabase(w http.ResponseWriter, err error) {
	if errors.Is(err, pgx.ErrNoRows) {
		fail(w, http.StatusNotFound, "There is no such task.")
		return
	}
	log.Print(err)
	fail(w, http.StatusInternalServerError, "The database does not answer.")
}

func keySet(url string) map[string]ed25519.PublicKey {
	response, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Keys []struct{ Kid, X string }
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		log.Fatal(err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, key := range document.Keys {
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || len(public) != ed25519.PublicKeySize {
			log.Fatalf("%s: this key is not Ed25519: %s", url, key.Kid)
		}
		keys[key.Kid] = public
	}
	return keys
}

func main() {
	if workers, err := strconv.Atoi(os.Getenv("WEB_CONCURRENCY")); err == nil {
		runtime.GOMAXPROCS(workers)
	}
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = maxConnections
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	issuer := os.Getenv("BETTER_AUTH_URL")
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), &server{
		pool:   pool,
		issuer: issuer,
		secret: []byte(os.Getenv("BETTER_AUTH_SECRET")),
		keys:   keySet(issuer + "/api/auth/jwks"),
		parser: jwt.Parser{ValidMethods: []string{"EdDSA", "HS256"}},
	}))
}
