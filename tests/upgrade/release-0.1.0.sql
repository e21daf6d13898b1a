-- The database of release 0.1.0 (commit 3256288) on PostgreSQL 15: pg_dump --inserts, after its API,
-- its commands and its admin had filled it. Its roles, with a password for the tests.
CREATE ROLE tasks LOGIN CREATEROLE PASSWORD 'owner';
CREATE ROLE tasks_api LOGIN NOINHERIT;


-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA api;

ALTER SCHEMA api OWNER TO tasks;

CREATE DOMAIN api.owner AS text NOT NULL
	CONSTRAINT owner_check CHECK ((VALUE <> ''::text));

ALTER DOMAIN api.owner OWNER TO tasks;

CREATE FUNCTION api.after(moment timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN GREATEST(statement_timestamp(), (moment + '00:00:00.000001'::interval));

ALTER FUNCTION api.after(moment timestamp with time zone) OWNER TO tasks;

CREATE FUNCTION api.json_of(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN (('"'::text || to_char((moment AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text)) || '"'::text);

ALTER FUNCTION api.json_of(moment timestamp with time zone) OWNER TO tasks;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.tasks_task (
    id bigint NOT NULL,
    user_id character varying(255) NOT NULL,
    title character varying(200) NOT NULL,
    description text,
    complete boolean DEFAULT false NOT NULL,
    priority character varying(6) DEFAULT 'medium'::character varying NOT NULL,
    completed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT task_completed_at_when_complete CHECK (((complete AND (completed_at IS NOT NULL)) OR ((NOT complete) AND (completed_at IS NULL)))),
    CONSTRAINT task_description_length CHECK ((length(description) <= 1000)),
    CONSTRAINT task_priority CHECK (((priority)::text = ANY ((ARRAY['low'::character varying, 'medium'::character varying, 'high'::character varying])::text[]))),
    CONSTRAINT task_title_not_blank CHECK ((NOT ((title)::text = ''::text))),
    CONSTRAINT task_title_trimmed CHECK (((title)::text = btrim((title)::text, '	

                  　'::text))),
    CONSTRAINT task_user_id_not_empty CHECK ((NOT ((user_id)::text = ''::text)))
);

ALTER TABLE public.tasks_task OWNER TO tasks;

CREATE FUNCTION api.json_of(task public.tasks_task) RETURNS text
    LANGUAGE sql STABLE
    RETURN (((((((((((((((((('{"id":'::text || (task).id) || ',"user_id":'::text) || to_json((task).user_id)) || ',"title":'::text) || to_json((task).title)) || ',"description":'::text) || COALESCE((to_json((task).description))::text, 'null'::text)) || ',"complete":'::text) || (task).complete) || ',"priority":"'::text) || ((task).priority)::text) || '","completed_at":'::text) || COALESCE(api.json_of((task).completed_at), 'null'::text)) || ',"created_at":'::text) || api.json_of((task).created_at)) || ',"updated_at":'::text) || api.json_of((task).updated_at)) || '}'::text);

ALTER FUNCTION api.json_of(task public.tasks_task) OWNER TO tasks;

CREATE FUNCTION api.change_task(owner api.owner, task bigint, title text, description text, describe boolean, complete boolean, priority text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 UPDATE public.tasks_task AS old SET title = COALESCE(change_task.title, (old.title)::text), description =
         CASE
             WHEN change_task.describe THEN change_task.description
             ELSE old.description
         END, complete = COALESCE(change_task.complete, old.complete), priority = COALESCE(change_task.priority, (old.priority)::text), completed_at =
         CASE
             WHEN COALESCE(change_task.complete, old.complete) THEN COALESCE(old.completed_at, api.after(old.updated_at))
             ELSE NULL::timestamp with time zone
         END, updated_at =
         CASE
             WHEN (((change_task.title IS NULL) OR (change_task.title = (old.title)::text)) AND ((NOT change_task.describe) OR (NOT (change_task.description IS DISTINCT FROM old.description))) AND ((change_task.complete IS NULL) OR (change_task.complete = old.complete)) AND ((change_task.priority IS NULL) OR (change_task.priority = (old.priority)::text))) THEN old.updated_at
             ELSE api.after(old.updated_at)
         END
   WHERE ((old.id = change_task.task) AND ((old.user_id)::text = (change_task.owner)::text) AND (old.deleted_at IS NULL))
   RETURNING api.json_of(old.*) AS json_of;
END;

ALTER FUNCTION api.change_task(owner api.owner, task bigint, title text, description text, describe boolean, complete boolean, priority text) OWNER TO tasks;

CREATE FUNCTION api.create_task(owner api.owner, title text, description text, complete boolean, priority text, OUT id bigint, OUT task text) RETURNS record
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 INSERT INTO public.tasks_task AS new (user_id, title, description, complete, priority, completed_at, created_at, updated_at)
   VALUES (create_task.owner, create_task.title, create_task.description, create_task.complete, create_task.priority,
         CASE
             WHEN create_task.complete THEN statement_timestamp()
             ELSE NULL::timestamp with time zone
         END, statement_timestamp(), statement_timestamp())
   RETURNING new.id,
     api.json_of(new.*) AS json_of;
END;

ALTER FUNCTION api.create_task(owner api.owner, title text, description text, complete boolean, priority text, OUT id bigint, OUT task text) OWNER TO tasks;

CREATE FUNCTION api.delete_task(owner api.owner, task bigint) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 DELETE FROM public.tasks_task
   WHERE ((tasks_task.id = delete_task.task) AND ((tasks_task.user_id)::text = (delete_task.owner)::text) AND (tasks_task.deleted_at IS NULL))
   RETURNING true;
END;

ALTER FUNCTION api.delete_task(owner api.owner, task bigint) OWNER TO tasks;

CREATE FUNCTION api.list_tasks(owner api.owner, wanted boolean, most bigint, skipped bigint, OUT tasks text, OUT total bigint) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
 WITH page AS (
          SELECT api.json_of(ROW(task.id, task.user_id, task.title, task.description, task.complete, task.priority, task.completed_at, task.created_at, task.updated_at, task.deleted_at)) AS json,
             row_number() OVER () AS place
            FROM ( SELECT tasks_task.id,
                     tasks_task.user_id,
                     tasks_task.title,
                     tasks_task.description,
                     tasks_task.complete,
                     tasks_task.priority,
                     tasks_task.completed_at,
                     tasks_task.created_at,
                     tasks_task.updated_at,
                     tasks_task.deleted_at
                    FROM public.tasks_task
                   WHERE (((tasks_task.user_id)::text = (list_tasks.owner)::text) AND (tasks_task.deleted_at IS NULL) AND ((list_tasks.wanted IS NULL) OR (tasks_task.complete = list_tasks.wanted)))
                   ORDER BY tasks_task.created_at DESC, tasks_task.id DESC
                  OFFSET list_tasks.skipped
                  LIMIT (list_tasks.most + 1)) task
         ), read AS (
          SELECT count(*) AS rows,
             (('['::text || COALESCE(string_agg(page.json, ','::text) FILTER (WHERE (page.place <= list_tasks.most)), ''::text)) || ']'::text) AS tasks
            FROM page
         )
  SELECT read.tasks,
         CASE
             WHEN ((read.rows <= list_tasks.most) AND ((read.rows > 0) OR (list_tasks.skipped = 0))) THEN (list_tasks.skipped + read.rows)
             WHEN (list_tasks.wanted IS NULL) THEN ( SELECT count(*) AS count
                FROM public.tasks_task
               WHERE (((tasks_task.user_id)::text = (list_tasks.owner)::text) AND (tasks_task.deleted_at IS NULL)))
             ELSE ( SELECT count(*) AS count
                FROM public.tasks_task
               WHERE (((tasks_task.user_id)::text = (list_tasks.owner)::text) AND (tasks_task.deleted_at IS NULL) AND (tasks_task.complete = list_tasks.wanted)))
         END AS count
    FROM read;
END;

ALTER FUNCTION api.list_tasks(owner api.owner, wanted boolean, most bigint, skipped bigint, OUT tasks text, OUT total bigint) OWNER TO tasks;

CREATE FUNCTION api.read_task(owner api.owner, task bigint) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
 SELECT api.json_of(found.*) AS json_of
    FROM public.tasks_task found
   WHERE ((found.id = read_task.task) AND ((found.user_id)::text = (read_task.owner)::text) AND (found.deleted_at IS NULL));
END;

ALTER FUNCTION api.read_task(owner api.owner, task bigint) OWNER TO tasks;

CREATE FUNCTION api.trash_task(owner api.owner, task bigint) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 UPDATE public.tasks_task SET deleted_at = statement_timestamp()
   WHERE ((tasks_task.id = trash_task.task) AND ((tasks_task.user_id)::text = (trash_task.owner)::text) AND (tasks_task.deleted_at IS NULL))
   RETURNING true;
END;

ALTER FUNCTION api.trash_task(owner api.owner, task bigint) OWNER TO tasks;

CREATE FUNCTION public.task_owner(message text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (message ~~ '[{"owner": %'::text) THEN (((message)::jsonb -> 0) ->> 'owner'::text) ELSE NULL::text END;

ALTER FUNCTION public.task_owner(message text) OWNER TO tasks;

CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);

ALTER TABLE public.auth_group OWNER TO tasks;

ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_group_permissions OWNER TO tasks;

ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);

ALTER TABLE public.auth_permission OWNER TO tasks;

ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user (
    id integer NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(150) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);

ALTER TABLE public.auth_user OWNER TO tasks;

CREATE TABLE public.auth_user_groups (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    group_id integer NOT NULL
);

ALTER TABLE public.auth_user_groups OWNER TO tasks;

ALTER TABLE public.auth_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.auth_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user_user_permissions (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_user_user_permissions OWNER TO tasks;

ALTER TABLE public.auth_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accessattempt (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    get_data text NOT NULL,
    post_data text NOT NULL,
    failures_since_start integer NOT NULL,
    CONSTRAINT axes_accessattempt_failures_since_start_check CHECK ((failures_since_start >= 0))
);

ALTER TABLE public.axes_accessattempt OWNER TO tasks;

ALTER TABLE public.axes_accessattempt ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accessattempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accessattemptexpiration (
    access_attempt_id integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE public.axes_accessattemptexpiration OWNER TO tasks;

CREATE TABLE public.axes_accessfailurelog (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    locked_out boolean NOT NULL
);

ALTER TABLE public.axes_accessfailurelog OWNER TO tasks;

ALTER TABLE public.axes_accessfailurelog ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accessfailurelog_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accesslog (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    logout_time timestamp with time zone,
    session_hash character varying(64) NOT NULL
);

ALTER TABLE public.axes_accesslog OWNER TO tasks;

ALTER TABLE public.axes_accesslog ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accesslog_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id integer NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);

ALTER TABLE public.django_admin_log OWNER TO tasks;

ALTER TABLE public.django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);

ALTER TABLE public.django_content_type OWNER TO tasks;

ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);

ALTER TABLE public.django_migrations OWNER TO tasks;

ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);

ALTER TABLE public.django_session OWNER TO tasks;

ALTER TABLE public.tasks_task ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tasks_task_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

INSERT INTO public.auth_group VALUES (1, 'viewer');
INSERT INTO public.auth_group VALUES (2, 'support');
INSERT INTO public.auth_group VALUES (3, 'administrator');

INSERT INTO public.auth_group_permissions VALUES (1, 1, 1);
INSERT INTO public.auth_group_permissions VALUES (2, 2, 1);
INSERT INTO public.auth_group_permissions VALUES (3, 2, 3);
INSERT INTO public.auth_group_permissions VALUES (4, 2, 5);
INSERT INTO public.auth_group_permissions VALUES (5, 2, 6);
INSERT INTO public.auth_group_permissions VALUES (6, 2, 7);
INSERT INTO public.auth_group_permissions VALUES (7, 3, 1);
INSERT INTO public.auth_group_permissions VALUES (8, 3, 2);
INSERT INTO public.auth_group_permissions VALUES (9, 3, 3);
INSERT INTO public.auth_group_permissions VALUES (10, 3, 4);
INSERT INTO public.auth_group_permissions VALUES (11, 3, 5);
INSERT INTO public.auth_group_permissions VALUES (12, 3, 6);
INSERT INTO public.auth_group_permissions VALUES (13, 3, 7);

INSERT INTO public.auth_permission VALUES (1, 'Can view task', 1, 'view_task');
INSERT INTO public.auth_permission VALUES (2, 'Can add task', 1, 'add_task');
INSERT INTO public.auth_permission VALUES (3, 'Can change task', 1, 'change_task');
INSERT INTO public.auth_permission VALUES (4, 'Can delete task', 1, 'delete_task');
INSERT INTO public.auth_permission VALUES (5, 'Can move task to the trash', 1, 'trash_task');
INSERT INTO public.auth_permission VALUES (6, 'Can restore task from the trash', 1, 'restore_task');
INSERT INTO public.auth_permission VALUES (7, 'Can export tasks', 1, 'export_task');
INSERT INTO public.auth_permission VALUES (8, 'Can add access attempt', 2, 'add_accessattempt');
INSERT INTO public.auth_permission VALUES (9, 'Can change access attempt', 2, 'change_accessattempt');
INSERT INTO public.auth_permission VALUES (10, 'Can delete access attempt', 2, 'delete_accessattempt');
INSERT INTO public.auth_permission VALUES (11, 'Can view access attempt', 2, 'view_accessattempt');
INSERT INTO public.auth_permission VALUES (12, 'Can add access log', 3, 'add_accesslog');
INSERT INTO public.auth_permission VALUES (13, 'Can change access log', 3, 'change_accesslog');
INSERT INTO public.auth_permission VALUES (14, 'Can delete access log', 3, 'delete_accesslog');
INSERT INTO public.auth_permission VALUES (15, 'Can view access log', 3, 'view_accesslog');
INSERT INTO public.auth_permission VALUES (16, 'Can add access failure', 4, 'add_accessfailurelog');
INSERT INTO public.auth_permission VALUES (17, 'Can change access failure', 4, 'change_accessfailurelog');
INSERT INTO public.auth_permission VALUES (18, 'Can delete access failure', 4, 'delete_accessfailurelog');
INSERT INTO public.auth_permission VALUES (19, 'Can view access failure', 4, 'view_accessfailurelog');
INSERT INTO public.auth_permission VALUES (20, 'Can add access attempt expiration', 5, 'add_accessattemptexpiration');
INSERT INTO public.auth_permission VALUES (21, 'Can change access attempt expiration', 5, 'change_accessattemptexpiration');
INSERT INTO public.auth_permission VALUES (22, 'Can delete access attempt expiration', 5, 'delete_accessattemptexpiration');
INSERT INTO public.auth_permission VALUES (23, 'Can view access attempt expiration', 5, 'view_accessattemptexpiration');
INSERT INTO public.auth_permission VALUES (24, 'Can add log entry', 6, 'add_logentry');
INSERT INTO public.auth_permission VALUES (25, 'Can change log entry', 6, 'change_logentry');
INSERT INTO public.auth_permission VALUES (26, 'Can delete log entry', 6, 'delete_logentry');
INSERT INTO public.auth_permission VALUES (27, 'Can view log entry', 6, 'view_logentry');
INSERT INTO public.auth_permission VALUES (28, 'Can add permission', 7, 'add_permission');
INSERT INTO public.auth_permission VALUES (29, 'Can change permission', 7, 'change_permission');
INSERT INTO public.auth_permission VALUES (30, 'Can delete permission', 7, 'delete_permission');
INSERT INTO public.auth_permission VALUES (31, 'Can view permission', 7, 'view_permission');
INSERT INTO public.auth_permission VALUES (32, 'Can add group', 8, 'add_group');
INSERT INTO public.auth_permission VALUES (33, 'Can change group', 8, 'change_group');
INSERT INTO public.auth_permission VALUES (34, 'Can delete group', 8, 'delete_group');
INSERT INTO public.auth_permission VALUES (35, 'Can view group', 8, 'view_group');
INSERT INTO public.auth_permission VALUES (36, 'Can add user', 9, 'add_user');
INSERT INTO public.auth_permission VALUES (37, 'Can change user', 9, 'change_user');
INSERT INTO public.auth_permission VALUES (38, 'Can delete user', 9, 'delete_user');
INSERT INTO public.auth_permission VALUES (39, 'Can view user', 9, 'view_user');
INSERT INTO public.auth_permission VALUES (40, 'Can add content type', 10, 'add_contenttype');
INSERT INTO public.auth_permission VALUES (41, 'Can change content type', 10, 'change_contenttype');
INSERT INTO public.auth_permission VALUES (42, 'Can delete content type', 10, 'delete_contenttype');
INSERT INTO public.auth_permission VALUES (43, 'Can view content type', 10, 'view_contenttype');
INSERT INTO public.auth_permission VALUES (44, 'Can add session', 11, 'add_session');
INSERT INTO public.auth_permission VALUES (45, 'Can change session', 11, 'change_session');
INSERT INTO public.auth_permission VALUES (46, 'Can delete session', 11, 'delete_session');
INSERT INTO public.auth_permission VALUES (47, 'Can view session', 11, 'view_session');

INSERT INTO public.auth_user VALUES (1, 'pbkdf2_sha256$1000000$IOU89v9y1LhaEUJDgBPS9R$yt7sV/DtyBzOi8FeGYwa4ACl5KQRrUSUmObML53nx6w=', '2026-11-22 06:47:21.477146+00', true, 'ann', '', '', 'ann@example.com', true, true, '2026-11-22 06:47:07.827113+00');

INSERT INTO public.django_admin_log VALUES (1, '2026-11-22 06:47:21.726622+00', '36', 'Changed by staff', 2, '[{"owner": "alice", "changed": {"fields": ["title"]}, "values": {"title": ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "Changed by staff"]}}]', 1, 1);

INSERT INTO public.django_content_type VALUES (1, 'tasks', 'task');
INSERT INTO public.django_content_type VALUES (2, 'axes', 'accessattempt');
INSERT INTO public.django_content_type VALUES (3, 'axes', 'accesslog');
INSERT INTO public.django_content_type VALUES (4, 'axes', 'accessfailurelog');
INSERT INTO public.django_content_type VALUES (5, 'axes', 'accessattemptexpiration');
INSERT INTO public.django_content_type VALUES (6, 'admin', 'logentry');
INSERT INTO public.django_content_type VALUES (7, 'auth', 'permission');
INSERT INTO public.django_content_type VALUES (8, 'auth', 'group');
INSERT INTO public.django_content_type VALUES (9, 'auth', 'user');
INSERT INTO public.django_content_type VALUES (10, 'contenttypes', 'contenttype');
INSERT INTO public.django_content_type VALUES (11, 'sessions', 'session');

INSERT INTO public.django_migrations VALUES (1, 'contenttypes', '0001_initial', '2026-11-22 06:47:02.443263+00');
INSERT INTO public.django_migrations VALUES (2, 'auth', '0001_initial', '2026-11-22 06:47:02.58819+00');
INSERT INTO public.django_migrations VALUES (3, 'admin', '0001_initial', '2026-11-22 06:47:02.640966+00');
INSERT INTO public.django_migrations VALUES (4, 'admin', '0002_logentry_remove_auto_add', '2026-11-22 06:47:02.667101+00');
INSERT INTO public.django_migrations VALUES (5, 'admin', '0003_logentry_add_action_flag_choices', '2026-11-22 06:47:02.689759+00');
INSERT INTO public.django_migrations VALUES (6, 'contenttypes', '0002_remove_content_type_name', '2026-11-22 06:47:02.759322+00');
INSERT INTO public.django_migrations VALUES (7, 'auth', '0002_alter_permission_name_max_length', '2026-11-22 06:47:02.794217+00');
INSERT INTO public.django_migrations VALUES (8, 'auth', '0003_alter_user_email_max_length', '2026-11-22 06:47:02.837705+00');
INSERT INTO public.django_migrations VALUES (9, 'auth', '0004_alter_user_username_opts', '2026-11-22 06:47:02.866711+00');
INSERT INTO public.django_migrations VALUES (10, 'auth', '0005_alter_user_last_login_null', '2026-11-22 06:47:02.910414+00');
INSERT INTO public.django_migrations VALUES (11, 'auth', '0006_require_contenttypes_0002', '2026-11-22 06:47:02.916003+00');
INSERT INTO public.django_migrations VALUES (12, 'auth', '0007_alter_validators_add_error_messages', '2026-11-22 06:47:03.189018+00');
INSERT INTO public.django_migrations VALUES (13, 'auth', '0008_alter_user_username_max_length', '2026-11-22 06:47:03.232574+00');
INSERT INTO public.django_migrations VALUES (14, 'auth', '0009_alter_user_last_name_max_length', '2026-11-22 06:47:03.269019+00');
INSERT INTO public.django_migrations VALUES (15, 'auth', '0010_alter_group_name_max_length', '2026-11-22 06:47:03.314301+00');
INSERT INTO public.django_migrations VALUES (16, 'auth', '0011_update_proxy_permissions', '2026-11-22 06:47:03.336063+00');
INSERT INTO public.django_migrations VALUES (17, 'auth', '0012_alter_user_first_name_max_length', '2026-11-22 06:47:03.366708+00');
INSERT INTO public.django_migrations VALUES (18, 'axes', '0001_initial', '2026-11-22 06:47:03.396737+00');
INSERT INTO public.django_migrations VALUES (19, 'axes', '0002_auto_20151217_2044', '2026-11-22 06:47:03.458641+00');
INSERT INTO public.django_migrations VALUES (20, 'axes', '0003_auto_20160322_0929', '2026-11-22 06:47:03.49096+00');
INSERT INTO public.django_migrations VALUES (21, 'axes', '0004_auto_20181024_1538', '2026-11-22 06:47:03.522484+00');
INSERT INTO public.django_migrations VALUES (22, 'axes', '0005_remove_accessattempt_trusted', '2026-11-22 06:47:03.532667+00');
INSERT INTO public.django_migrations VALUES (23, 'axes', '0006_remove_accesslog_trusted', '2026-11-22 06:47:03.545701+00');
INSERT INTO public.django_migrations VALUES (24, 'axes', '0007_alter_accessattempt_unique_together', '2026-11-22 06:47:03.563003+00');
INSERT INTO public.django_migrations VALUES (25, 'axes', '0008_accessfailurelog', '2026-11-22 06:47:03.587959+00');
INSERT INTO public.django_migrations VALUES (26, 'axes', '0009_add_session_hash', '2026-11-22 06:47:03.60288+00');
INSERT INTO public.django_migrations VALUES (27, 'axes', '0010_accessattemptexpiration', '2026-11-22 06:47:03.619867+00');
INSERT INTO public.django_migrations VALUES (28, 'sessions', '0001_initial', '2026-11-22 06:47:03.631156+00');
INSERT INTO public.django_migrations VALUES (29, 'tasks', '0001_initial', '2026-11-22 06:47:03.665804+00');
INSERT INTO public.django_migrations VALUES (30, 'tasks', '0002_trash', '2026-11-22 06:47:03.715172+00');
INSERT INTO public.django_migrations VALUES (31, 'tasks', '0004_search', '2026-11-22 06:47:03.743126+00');
INSERT INTO public.django_migrations VALUES (32, 'tasks', '0005_history', '2026-11-22 06:47:03.761196+00');
INSERT INTO public.django_migrations VALUES (33, 'tasks', '0006_groups', '2026-11-22 06:47:03.866966+00');
INSERT INTO public.django_migrations VALUES (34, 'tasks', '0007_operations', '2026-11-22 06:47:03.884824+00');

INSERT INTO public.django_session VALUES ('14jkl14i2xiipkwwkgb1eaoyldvf9ddu', '.eJxVjMsOgjAQRf-la9MUplOLS_d8A5lXLGogobAy_ruSsNDtPefclxtoW8uwVVuGUd3FNe70uzHJw6Yd6J2m2-xlntZlZL8r_qDV97Pa83q4fweFavnWOSigBIzapUyaG0TBmIyohZYEKbME1gDWoRlA4gjK5zaBdBqB3PsD3WY38g:1xV1M9:t8muuaWTB9s1uB7AEfU_KurmBFocN67W8W2AHxvOMkU', '2026-11-22 14:47:21.481101+00');

INSERT INTO public.tasks_task VALUES (1, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Call the bank today', NULL, false, 'medium', NULL, '2026-10-03 12:09:10.600361+00', '2026-10-03 12:09:10.600361+00', NULL);
INSERT INTO public.tasks_task VALUES (2, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Call mum', NULL, false, 'low', NULL, '2026-10-31 09:48:20.829139+00', '2026-10-31 09:48:20.829139+00', NULL);
INSERT INTO public.tasks_task VALUES (3, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Book train tickets again', '', false, 'low', NULL, '2026-09-22 08:18:26.338531+00', '2026-09-22 08:18:26.338531+00', NULL);
INSERT INTO public.tasks_task VALUES (4, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Repair the flaky test this week', 'See the mail of last Tuesday.', true, 'low', '2026-11-17 10:20:02.027353+00', '2026-11-11 22:06:59.607965+00', '2026-11-17 10:20:02.027353+00', NULL);
INSERT INTO public.tasks_task VALUES (5, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Clean the kitchen', NULL, false, 'medium', NULL, '2026-09-19 12:44:40.511281+00', '2026-09-19 12:44:40.511281+00', NULL);
INSERT INTO public.tasks_task VALUES (6, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Call the dentist before Friday', 'Waiting for an answer since the 3rd.', true, 'medium', '2026-11-16 17:49:35.546559+00', '2026-10-31 12:15:51.68885+00', '2026-11-16 17:49:35.546559+00', NULL);
INSERT INTO public.tasks_task VALUES (7, 'WSv4wvsMmwQDTv8vmTpj0r3X7Au8JbFt', 'Review the budget', 'Two of them, the big ones.
Keep the receipt.', false, 'low', NULL, '2026-09-26 17:22:42.990241+00', '2026-09-26 17:22:42.990241+00', NULL);
INSERT INTO public.tasks_task VALUES (8, 'D4q2KfF5hBzzKqAOdwJQCKR4oma0vrHg', 'Prepare packed lunches today', NULL, false, 'low', NULL, '2026-10-24 12:46:50.87164+00', '2026-10-24 12:46:50.87164+00', NULL);
INSERT INTO public.tasks_task VALUES (9, 'D4q2KfF5hBzzKqAOdwJQCKR4oma0vrHg', 'Review the budget 🎉', NULL, false, 'medium', NULL, '2026-09-01 01:45:50.395076+00', '2026-09-15 18:40:15.596164+00', NULL);
INSERT INTO public.tasks_task VALUES (10, 'D4q2KfF5hBzzKqAOdwJQCKR4oma0vrHg', 'Buy bread before Friday', NULL, false, 'low', NULL, '2026-10-27 07:16:46.574657+00', '2026-10-27 07:16:46.574657+00', NULL);
INSERT INTO public.tasks_task VALUES (11, 'D4q2KfF5hBzzKqAOdwJQCKR4oma0vrHg', 'Book train tickets this week', 'Takes an hour at most.', true, 'medium', '2026-11-09 00:51:25.804624+00', '2026-09-05 12:01:29.572392+00', '2026-11-09 00:51:25.804624+00', NULL);
INSERT INTO public.tasks_task VALUES (12, 'D4q2KfF5hBzzKqAOdwJQCKR4oma0vrHg', 'Send photos to grandma this week', NULL, false, 'medium', NULL, '2026-10-19 08:44:16.325897+00', '2026-11-03 11:53:17.974958+00', NULL);
INSERT INTO public.tasks_task VALUES (13, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Clean out the inbox (urgent)', 'See the mail of last Tuesday.', false, 'high', NULL, '2026-08-29 22:49:51.655632+00', '2026-08-29 22:49:51.655632+00', '2026-11-18 17:22:49.723411+00');
INSERT INTO public.tasks_task VALUES (14, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Repair the tap', NULL, true, 'low', '2026-09-10 10:08:02.255816+00', '2026-05-02 01:37:51.453112+00', '2026-09-10 10:08:02.255816+00', NULL);
INSERT INTO public.tasks_task VALUES (15, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Read chapter 7 today', NULL, false, 'low', NULL, '2026-09-30 08:02:13.832189+00', '2026-09-30 08:02:13.832189+00', NULL);
INSERT INTO public.tasks_task VALUES (16, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Repair the garden gate this week', NULL, true, 'low', '2026-11-03 13:40:06.231802+00', '2026-10-16 22:43:12.769532+00', '2026-11-03 13:40:06.231802+00', NULL);
INSERT INTO public.tasks_task VALUES (17, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Prepare packed lunches', NULL, false, 'low', NULL, '2026-06-04 22:01:15.142637+00', '2026-06-04 22:01:15.142637+00', NULL);
INSERT INTO public.tasks_task VALUES (18, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Send the invoice before Friday', NULL, true, 'medium', '2026-11-19 00:17:12.720057+00', '2026-11-18 14:56:46.019456+00', '2026-11-19 00:17:12.720057+00', NULL);
INSERT INTO public.tasks_task VALUES (19, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Review the insurance again', NULL, false, 'medium', NULL, '2026-11-18 02:29:24.745184+00', '2026-11-18 02:29:24.745184+00', NULL);
INSERT INTO public.tasks_task VALUES (20, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Send the signed form 🎉', '', false, 'medium', NULL, '2026-06-17 11:52:37.720481+00', '2026-07-01 13:26:23.766281+00', NULL);
INSERT INTO public.tasks_task VALUES (21, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Buy a birthday present', NULL, false, 'high', NULL, '2026-09-09 17:03:15.454577+00', '2026-09-09 17:03:15.454577+00', NULL);
INSERT INTO public.tasks_task VALUES (22, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Book a table for four', NULL, false, 'high', NULL, '2026-11-08 19:28:25.887065+00', '2026-11-19 03:32:37.131524+00', NULL);
INSERT INTO public.tasks_task VALUES (23, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Review the budget today', NULL, false, 'low', NULL, '2026-10-25 09:19:26.391208+00', '2026-10-25 09:19:26.391208+00', NULL);
INSERT INTO public.tasks_task VALUES (24, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Send the invoice this week', NULL, true, 'high', '2026-11-18 04:15:54.542987+00', '2026-11-14 23:23:18.203867+00', '2026-11-18 04:15:54.542987+00', NULL);
INSERT INTO public.tasks_task VALUES (25, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Read chapter 7', '', false, 'medium', NULL, '2026-09-07 05:24:49.094731+00', '2026-09-11 21:33:03.362487+00', NULL);
INSERT INTO public.tasks_task VALUES (26, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Read the release notes', NULL, false, 'low', NULL, '2026-06-26 03:56:50.480743+00', '2026-06-26 03:56:50.480743+00', NULL);
INSERT INTO public.tasks_task VALUES (27, 'qf9tJtcnZdD7QC3MbRNsCqeGtBrFssOH', 'Buy milk today', NULL, true, 'low', '2026-10-25 05:24:15.707095+00', '2026-10-15 23:35:44.455828+00', '2026-10-25 05:24:15.707095+00', NULL);
INSERT INTO public.tasks_task VALUES (28, 'SYLCHglSoQ0ipX7ib2olh7U2NU3Nq9tF', 'Pay back Jürgen 🎉', 'Ask first whether it is still needed.', false, 'medium', NULL, '2026-11-21 23:49:43.074579+00', '2026-11-21 23:49:43.074579+00', NULL);
INSERT INTO public.tasks_task VALUES (29, 'SYLCHglSoQ0ipX7ib2olh7U2NU3Nq9tF', 'Review the budget today', NULL, true, 'low', '2026-08-19 08:41:48.098984+00', '2026-04-12 09:57:40.935779+00', '2026-08-19 08:41:48.098984+00', NULL);
INSERT INTO public.tasks_task VALUES (30, 'SYLCHglSoQ0ipX7ib2olh7U2NU3Nq9tF', 'Call the landlord again', NULL, true, 'medium', '2026-06-01 01:44:52.557724+00', '2026-05-02 04:45:33.500825+00', '2026-06-01 01:44:52.557724+00', NULL);
INSERT INTO public.tasks_task VALUES (31, 'alice', 'Buy milk', NULL, true, 'low', '2026-11-22 06:47:18.289067+00', '2026-11-22 06:47:18.289067+00', '2026-11-22 06:47:18.289067+00', NULL);
INSERT INTO public.tasks_task VALUES (35, 'alice', 'ﷺ İstanbul ẞ ς', NULL, true, 'medium', '2026-11-22 06:47:18.306469+00', '2026-11-22 06:47:18.306469+00', '2026-11-22 06:47:18.306469+00', NULL);
INSERT INTO public.tasks_task VALUES (37, 'alice', 'tab	and
line', NULL, false, 'low', NULL, '2026-11-22 06:47:18.31024+00', '2026-11-22 06:47:18.31024+00', NULL);
INSERT INTO public.tasks_task VALUES (32, 'alice', '👨‍👩‍👧 é é', '👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é', true, 'medium', '2026-11-22 06:47:18.312751+00', '2026-11-22 06:47:18.298479+00', '2026-11-22 06:47:18.312751+00', NULL);
INSERT INTO public.tasks_task VALUES (33, 'alice', 'Replaced', NULL, false, 'medium', NULL, '2026-11-22 06:47:18.30216+00', '2026-11-22 06:47:18.315144+00', NULL);
INSERT INTO public.tasks_task VALUES (34, 'alice', '100 % \ _ '' " $1 ; --', '100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --', false, 'low', NULL, '2026-11-22 06:47:18.304647+00', '2026-11-22 06:47:18.304647+00', '2026-11-22 06:47:18.317217+00');
INSERT INTO public.tasks_task VALUES (38, 'a/b', 'Buy milk', NULL, true, 'low', '2026-11-22 06:47:18.318983+00', '2026-11-22 06:47:18.318983+00', '2026-11-22 06:47:18.318983+00', NULL);
INSERT INTO public.tasks_task VALUES (42, 'a/b', 'ﷺ İstanbul ẞ ς', NULL, true, 'medium', '2026-11-22 06:47:18.328412+00', '2026-11-22 06:47:18.328412+00', '2026-11-22 06:47:18.328412+00', NULL);
INSERT INTO public.tasks_task VALUES (39, 'a/b', '👨‍👩‍👧 é é', '👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é', true, 'medium', '2026-11-22 06:47:18.337526+00', '2026-11-22 06:47:18.32086+00', '2026-11-22 06:47:18.337526+00', NULL);
INSERT INTO public.tasks_task VALUES (40, 'a/b', 'Replaced', NULL, false, 'medium', NULL, '2026-11-22 06:47:18.325479+00', '2026-11-22 06:47:18.339383+00', NULL);
INSERT INTO public.tasks_task VALUES (41, 'a/b', '100 % \ _ '' " $1 ; --', '100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --', false, 'low', NULL, '2026-11-22 06:47:18.326989+00', '2026-11-22 06:47:18.326989+00', '2026-11-22 06:47:18.341322+00');
INSERT INTO public.tasks_task VALUES (43, 'a/b', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', false, 'high', NULL, '2026-11-22 06:47:18.330135+00', '2026-11-22 06:47:18.330135+00', NULL);
INSERT INTO public.tasks_task VALUES (44, 'a/b', 'tab	and
line', NULL, false, 'low', NULL, '2026-11-22 06:47:18.335332+00', '2026-11-22 06:47:18.335332+00', NULL);
INSERT INTO public.tasks_task VALUES (45, 'é😀', 'Buy milk', NULL, true, 'low', '2026-11-22 06:47:18.342943+00', '2026-11-22 06:47:18.342943+00', '2026-11-22 06:47:18.342943+00', NULL);
INSERT INTO public.tasks_task VALUES (49, 'é😀', 'ﷺ İstanbul ẞ ς', NULL, true, 'medium', '2026-11-22 06:47:18.34956+00', '2026-11-22 06:47:18.34956+00', '2026-11-22 06:47:18.34956+00', NULL);
INSERT INTO public.tasks_task VALUES (50, 'é😀', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', false, 'high', NULL, '2026-11-22 06:47:18.351209+00', '2026-11-22 06:47:18.351209+00', NULL);
INSERT INTO public.tasks_task VALUES (51, 'é😀', 'tab	and
line', NULL, false, 'low', NULL, '2026-11-22 06:47:18.352833+00', '2026-11-22 06:47:18.352833+00', NULL);
INSERT INTO public.tasks_task VALUES (46, 'é😀', '👨‍👩‍👧 é é', '👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é', true, 'medium', '2026-11-22 06:47:18.354563+00', '2026-11-22 06:47:18.344627+00', '2026-11-22 06:47:18.354563+00', NULL);
INSERT INTO public.tasks_task VALUES (47, 'é😀', 'Replaced', NULL, false, 'medium', NULL, '2026-11-22 06:47:18.34617+00', '2026-11-22 06:47:18.356366+00', NULL);
INSERT INTO public.tasks_task VALUES (48, 'é😀', '100 % \ _ '' " $1 ; --', '100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --', false, 'low', NULL, '2026-11-22 06:47:18.347875+00', '2026-11-22 06:47:18.347875+00', '2026-11-22 06:47:18.357961+00');
INSERT INTO public.tasks_task VALUES (52, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 'Buy milk', NULL, true, 'low', '2026-11-22 06:47:18.359669+00', '2026-11-22 06:47:18.359669+00', '2026-11-22 06:47:18.359669+00', NULL);
INSERT INTO public.tasks_task VALUES (56, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 'ﷺ İstanbul ẞ ς', NULL, true, 'medium', '2026-11-22 06:47:18.366216+00', '2026-11-22 06:47:18.366216+00', '2026-11-22 06:47:18.366216+00', NULL);
INSERT INTO public.tasks_task VALUES (57, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', false, 'high', NULL, '2026-11-22 06:47:18.367998+00', '2026-11-22 06:47:18.367998+00', NULL);
INSERT INTO public.tasks_task VALUES (53, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', '👨‍👩‍👧 é é', '👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é👨‍👩‍👧 é é', true, 'medium', '2026-11-22 06:47:18.371612+00', '2026-11-22 06:47:18.361325+00', '2026-11-22 06:47:18.371612+00', NULL);
INSERT INTO public.tasks_task VALUES (54, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 'Replaced', NULL, false, 'medium', NULL, '2026-11-22 06:47:18.363089+00', '2026-11-22 06:47:18.373616+00', NULL);
INSERT INTO public.tasks_task VALUES (55, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', '100 % \ _ '' " $1 ; --', '100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --100 % \ _ '' " $1 ; --', false, 'low', NULL, '2026-11-22 06:47:18.364651+00', '2026-11-22 06:47:18.364651+00', '2026-11-22 06:47:18.375163+00');
INSERT INTO public.tasks_task VALUES (58, 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 'tab	and
line', NULL, false, 'low', NULL, '2026-11-22 06:47:18.369594+00', '2026-11-22 06:47:18.369594+00', NULL);
INSERT INTO public.tasks_task VALUES (36, 'alice', 'Changed by staff', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', false, 'high', NULL, '2026-11-22 06:47:18.308277+00', '2026-11-22 06:47:21.719383+00', NULL);

SELECT pg_catalog.setval('public.auth_group_id_seq', 3, true);

SELECT pg_catalog.setval('public.auth_group_permissions_id_seq', 13, true);

SELECT pg_catalog.setval('public.auth_permission_id_seq', 47, true);

SELECT pg_catalog.setval('public.auth_user_groups_id_seq', 1, false);

SELECT pg_catalog.setval('public.auth_user_id_seq', 1, true);

SELECT pg_catalog.setval('public.auth_user_user_permissions_id_seq', 1, false);

SELECT pg_catalog.setval('public.axes_accessattempt_id_seq', 1, false);

SELECT pg_catalog.setval('public.axes_accessfailurelog_id_seq', 1, false);

SELECT pg_catalog.setval('public.axes_accesslog_id_seq', 1, false);

SELECT pg_catalog.setval('public.django_admin_log_id_seq', 1, true);

SELECT pg_catalog.setval('public.django_content_type_id_seq', 11, true);

SELECT pg_catalog.setval('public.django_migrations_id_seq', 34, true);

SELECT pg_catalog.setval('public.tasks_task_id_seq', 58, true);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_group_id_94350c0c_uniq UNIQUE (user_id, group_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_permission_id_14a6b632_uniq UNIQUE (user_id, permission_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_username_key UNIQUE (username);

ALTER TABLE ONLY public.axes_accessattempt
    ADD CONSTRAINT axes_accessattempt_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.axes_accessattempt
    ADD CONSTRAINT axes_accessattempt_username_ip_address_user_agent_8ea22282_uniq UNIQUE (username, ip_address, user_agent);

ALTER TABLE ONLY public.axes_accessattemptexpiration
    ADD CONSTRAINT axes_accessattemptexpiration_pkey PRIMARY KEY (access_attempt_id);

ALTER TABLE ONLY public.axes_accessfailurelog
    ADD CONSTRAINT axes_accessfailurelog_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.axes_accesslog
    ADD CONSTRAINT axes_accesslog_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY public.tasks_task
    ADD CONSTRAINT tasks_task_pkey PRIMARY KEY (id);

CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);

CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);

CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);

CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);

CREATE INDEX auth_user_groups_group_id_97559544 ON public.auth_user_groups USING btree (group_id);

CREATE INDEX auth_user_groups_user_id_6a12ed8b ON public.auth_user_groups USING btree (user_id);

CREATE INDEX auth_user_user_permissions_permission_id_1fbb5f2c ON public.auth_user_user_permissions USING btree (permission_id);

CREATE INDEX auth_user_user_permissions_user_id_a95ead1b ON public.auth_user_user_permissions USING btree (user_id);

CREATE INDEX auth_user_username_6821ab7c_like ON public.auth_user USING btree (username varchar_pattern_ops);

CREATE INDEX axes_accessattempt_ip_address_10922d9c ON public.axes_accessattempt USING btree (ip_address);

CREATE INDEX axes_accessattempt_user_agent_ad89678b ON public.axes_accessattempt USING btree (user_agent);

CREATE INDEX axes_accessattempt_user_agent_ad89678b_like ON public.axes_accessattempt USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accessattempt_username_3f2d4ca0 ON public.axes_accessattempt USING btree (username);

CREATE INDEX axes_accessattempt_username_3f2d4ca0_like ON public.axes_accessattempt USING btree (username varchar_pattern_ops);

CREATE INDEX axes_accessfailurelog_ip_address_2e9f5a7f ON public.axes_accessfailurelog USING btree (ip_address);

CREATE INDEX axes_accessfailurelog_user_agent_ea145dda ON public.axes_accessfailurelog USING btree (user_agent);

CREATE INDEX axes_accessfailurelog_user_agent_ea145dda_like ON public.axes_accessfailurelog USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accessfailurelog_username_a8b7e8a4 ON public.axes_accessfailurelog USING btree (username);

CREATE INDEX axes_accessfailurelog_username_a8b7e8a4_like ON public.axes_accessfailurelog USING btree (username varchar_pattern_ops);

CREATE INDEX axes_accesslog_ip_address_86b417e5 ON public.axes_accesslog USING btree (ip_address);

CREATE INDEX axes_accesslog_user_agent_0e659004 ON public.axes_accesslog USING btree (user_agent);

CREATE INDEX axes_accesslog_user_agent_0e659004_like ON public.axes_accesslog USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accesslog_username_df93064b ON public.axes_accesslog USING btree (username);

CREATE INDEX axes_accesslog_username_df93064b_like ON public.axes_accesslog USING btree (username varchar_pattern_ops);

CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON public.django_admin_log USING btree (content_type_id);

CREATE INDEX django_admin_log_user_id_c564eba6 ON public.django_admin_log USING btree (user_id);

CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);

CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);

CREATE INDEX task_alive ON public.tasks_task USING btree (user_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);

CREATE INDEX task_created ON public.tasks_task USING brin (created_at);

CREATE INDEX task_history_owner ON public.django_admin_log USING btree (public.task_owner(change_message), id);

CREATE INDEX task_history_staff ON public.django_admin_log USING btree (user_id, action_time DESC);

CREATE INDEX task_history_task ON public.django_admin_log USING btree (object_id, id);

CREATE INDEX task_trash ON public.tasks_task USING btree (deleted_at, user_id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX task_words ON public.tasks_task USING gin (to_tsvector('simple'::regconfig, (title)::text)) WITH (gin_pending_list_limit='256');

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_group_id_97559544_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_6a12ed8b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.axes_accessattemptexpiration
    ADD CONSTRAINT axes_accessattemptex_access_attempt_id_6b73a47a_fk_axes_acce FOREIGN KEY (access_attempt_id) REFERENCES public.axes_accessattempt(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

GRANT USAGE ON SCHEMA api TO tasks_api;

REVOKE ALL ON FUNCTION api.after(moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION api.after(moment timestamp with time zone) TO tasks_api;

REVOKE ALL ON FUNCTION api.json_of(moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION api.json_of(moment timestamp with time zone) TO tasks_api;

REVOKE ALL ON FUNCTION api.json_of(task public.tasks_task) FROM PUBLIC;
GRANT ALL ON FUNCTION api.json_of(task public.tasks_task) TO tasks_api;

REVOKE ALL ON FUNCTION api.change_task(owner api.owner, task bigint, title text, description text, describe boolean, complete boolean, priority text) FROM PUBLIC;
GRANT ALL ON FUNCTION api.change_task(owner api.owner, task bigint, title text, description text, describe boolean, complete boolean, priority text) TO tasks_api;

REVOKE ALL ON FUNCTION api.create_task(owner api.owner, title text, description text, complete boolean, priority text, OUT id bigint, OUT task text) FROM PUBLIC;
GRANT ALL ON FUNCTION api.create_task(owner api.owner, title text, description text, complete boolean, priority text, OUT id bigint, OUT task text) TO tasks_api;

REVOKE ALL ON FUNCTION api.delete_task(owner api.owner, task bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION api.delete_task(owner api.owner, task bigint) TO tasks_api;

REVOKE ALL ON FUNCTION api.list_tasks(owner api.owner, wanted boolean, most bigint, skipped bigint, OUT tasks text, OUT total bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION api.list_tasks(owner api.owner, wanted boolean, most bigint, skipped bigint, OUT tasks text, OUT total bigint) TO tasks_api;

REVOKE ALL ON FUNCTION api.read_task(owner api.owner, task bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION api.read_task(owner api.owner, task bigint) TO tasks_api;

REVOKE ALL ON FUNCTION api.trash_task(owner api.owner, task bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION api.trash_task(owner api.owner, task bigint) TO tasks_api;
