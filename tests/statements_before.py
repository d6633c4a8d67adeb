"""What the release before (commit 99f8899) says to the database, as its code compiled it.

Values are named, and cast as it does for PostgreSQL. Kept as text, so that nothing here changes with this release's
tables.
"""

ADD_MEMBER = """INSERT INTO members (name, display_name, email, role, active, created_at)
VALUES (:name, :display_name, :email, :role, :active, :created_at)"""
ADD_ENTRY = """INSERT INTO config_entries (name, fingerprint, email, present)
VALUES (:name, :fingerprint, :email, :present)"""
LIST_ENTRIES = """SELECT config_entries.name, config_entries.fingerprint, config_entries.email, config_entries.present
FROM config_entries ORDER BY config_entries.name"""
ADD_PASSWORD = "INSERT INTO passwords (name, hash, changed_at) VALUES (:name, :hash, :changed_at)"
FIND_MEMBER = """SELECT members.name, members.display_name, members.email, members.role, members.active,
passwords.name AS has_password FROM members LEFT OUTER JOIN passwords ON passwords.name = members.name
WHERE members.name = :name_1"""
LIST_MEMBERS = """SELECT members.name, members.display_name, members.email, members.role, members.active,
passwords.name AS has_password FROM members LEFT OUTER JOIN passwords ON passwords.name = members.name
ORDER BY members.name"""
FIND_PASSWORD = "SELECT passwords.hash FROM passwords WHERE passwords.name = :name_1"
SET_ROLE = "UPDATE members SET role=:role WHERE members.name = :name_1"
REMOVE_MEMBER = "DELETE FROM members WHERE members.name = :name_1"
REMOVE_PASSWORD = "DELETE FROM passwords WHERE passwords.name = :name_1"
REMOVE_SESSIONS = "DELETE FROM sessions WHERE sessions.owner IN (:owner_1_1, :owner_1_2, :owner_1_3)"
AUDIT = "INSERT INTO audit (at, actor, action, subject) VALUES (:at, :actor, :action, :subject)"

ADD_SIGN_IN = """INSERT INTO sign_ins (id, member, created_at, expires_at, agent)
VALUES (:id, :member, :created_at, :expires_at, :agent)"""
CHECK_SIGN_IN = """SELECT sign_ins.member, sign_ins.expires_at, sign_ins.revoked_at, members.role, members.active,
(SELECT marks.name FROM marks WHERE marks.name = 'account_created') AS anon_1
FROM sign_ins LEFT OUTER JOIN members ON members.name = sign_ins.member WHERE sign_ins.id = :id"""
END_SIGN_IN = """UPDATE sign_ins SET revoked_at=:revoked_at WHERE sign_ins.id = :id_1 AND sign_ins.revoked_at IS NULL
RETURNING member"""

ADD_TOKEN = """INSERT INTO tokens (id, name, prefix, hash, owner, flows, created_at, expires_at, uses)
VALUES (:id, :name, :prefix, :hash, :owner, :flows, :created_at, :expires_at, :uses)"""
FIND_TOKEN = """SELECT tokens.id, tokens.name, tokens.prefix, tokens.owner, tokens.flows, tokens.created_at,
tokens.expires_at, tokens.revoked_at, tokens.last_used_at, tokens.uses, members.role, members.active
FROM tokens LEFT OUTER JOIN members ON members.name = tokens.owner WHERE tokens.hash = :hash"""
COUNT_USES = "UPDATE tokens SET last_used_at=:last, uses=(tokens.uses + :more) WHERE tokens.id = :token_id"
REVOKE_TOKEN = "UPDATE tokens SET revoked_at=:revoked_at WHERE tokens.id = :id_1 AND tokens.revoked_at IS NULL"

BEGIN_SESSION = """INSERT INTO sessions (id, flow_id, owner, session_id, title, created_at, updated_at, messages)
VALUES (:id, :flow_id, :owner, :session_id, :title, :created_at, :updated_at, :messages)
ON CONFLICT (id) DO UPDATE SET title = CASE WHEN (sessions.title = '') THEN excluded.title ELSE sessions.title END,
updated_at = excluded.updated_at, messages = (sessions.messages + excluded.messages)"""
ADD_MESSAGE = """INSERT INTO messages (session, id, role, text, state, created_at, run_id, model, input_tokens,
output_tokens, seconds, trace, error) SELECT sessions.id, CAST(:id AS VARCHAR), CAST(:role AS VARCHAR),
CAST(:text AS VARCHAR), CAST(:state AS VARCHAR), CAST(:created_at AS DOUBLE PRECISION), CAST(:run_id AS VARCHAR),
CAST(:model AS VARCHAR), CAST(:input_tokens AS INTEGER), CAST(:output_tokens AS INTEGER),
CAST(:seconds AS DOUBLE PRECISION), CAST(:trace AS VARCHAR), CAST(:error AS VARCHAR)
FROM sessions WHERE sessions.id = :session"""
TOUCH_SESSION = """UPDATE sessions SET updated_at=:updated_at, messages=(sessions.messages + :more)
WHERE sessions.id = :session"""
ADD_RUN = """INSERT INTO runs (id, flow_id, flow_version, owner, session_id, status, started_at, seconds, input_tokens,
output_tokens, error_code, streamed) VALUES (:id, :flow_id, :flow_version, :owner, :session_id, :status, :started_at,
:seconds, :input_tokens, :output_tokens, :error_code, :streamed)"""
READ_HISTORY = """SELECT messages.role, messages.text, messages.id FROM messages WHERE messages.session = :session
AND messages.state != 'failed' AND (messages.state != 'stopped' OR messages.text != '')
AND messages.position < coalesce((SELECT messages.position FROM messages WHERE messages.id = CAST(:before AS VARCHAR)),
9223372036854775807) ORDER BY messages.position DESC LIMIT :limit"""
LIST_MESSAGES = """SELECT messages.id, messages.role, messages.text, messages.state, messages.created_at,
messages.run_id, messages.model, messages.input_tokens, messages.output_tokens, messages.seconds, messages.trace,
messages.error FROM messages WHERE messages.session = :session ORDER BY messages.position DESC LIMIT :limit"""
LIST_SESSIONS = """SELECT sessions.session_id, sessions.title, sessions.created_at, sessions.updated_at,
sessions.messages FROM sessions WHERE sessions.flow_id = :flow_id_1 AND sessions.owner = :owner_1
AND sessions.messages > :messages_1 ORDER BY sessions.updated_at DESC, sessions.created_at DESC LIMIT :param_1"""
EXPORT = """SELECT sessions.id, sessions.flow_id, sessions.session_id, sessions.title, messages.role, messages.text,
messages.state, messages.created_at, messages.error FROM messages JOIN sessions ON messages.session = sessions.id
WHERE sessions.owner IN (:owner_1_1) ORDER BY messages.position"""
