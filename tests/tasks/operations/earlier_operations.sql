-- The six operations (replace is a change of everything): all that the API may do to the database.
--
-- Its role has no right on any table, only to call these functions, and each of them takes the owner
-- first: a statement that forgets whose tasks it means cannot be written. They run as the owner of
-- the table, with every name in them bound when they are made, and leave nothing in the session.
-- They build the JSON of the answer too: what Python does not touch costs nothing there.

DROP SCHEMA IF EXISTS api CASCADE;
CREATE SCHEMA api;

-- An operation without a user is an error, and no empty answer.
CREATE DOMAIN api.owner AS text NOT NULL CHECK (VALUE <> '');


CREATE FUNCTION api.json_of(moment timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN '"' || to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"';


-- Now, and later than the last change whatever the clock does.
CREATE FUNCTION api.after(moment timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
RETURN greatest(statement_timestamp(), moment + interval '1 microsecond');


-- A task as clients see it.
CREATE FUNCTION api.json_of(task public.tasks_task) RETURNS text LANGUAGE sql STABLE
RETURN '{"id":' || task.id
    || ',"user_id":' || to_json(task.user_id)
    || ',"title":' || to_json(task.title)
    || ',"description":' || coalesce(to_json(task.description)::text, 'null')
    || ',"complete":' || task.complete
    || ',"priority":"' || task.priority
    || '","completed_at":' || coalesce(api.json_of(task.completed_at), 'null')
    || ',"created_at":' || api.json_of(task.created_at)
    || ',"updated_at":' || api.json_of(task.updated_at) || '}';


-- A page, newest first, and how many tasks match over all. One row more than the page is read:
-- where it is not there, the page is the last one, and the total is known without counting.
CREATE FUNCTION api.list_tasks(
    owner api.owner, wanted boolean, most bigint, skipped bigint, OUT tasks text, OUT total bigint
) LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    WITH page AS (
        SELECT api.json_of(task) AS json, row_number() OVER () AS place
        FROM (
            SELECT * FROM public.tasks_task
            WHERE user_id = owner AND deleted_at IS NULL AND (wanted IS NULL OR complete = wanted)
            ORDER BY created_at DESC, id DESC LIMIT most + 1 OFFSET skipped
        ) AS task
    ),
    read AS (
        SELECT count(*) AS rows,
            '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= most), '') || ']' AS tasks
        FROM page
    )
    SELECT read.tasks, CASE
        WHEN rows <= most AND (rows > 0 OR skipped = 0) THEN skipped + rows
        -- Without a filter the index alone counts.
        WHEN wanted IS NULL THEN (
            SELECT count(*) FROM public.tasks_task WHERE user_id = owner AND deleted_at IS NULL
        )
        ELSE (
            SELECT count(*) FROM public.tasks_task
            WHERE user_id = owner AND deleted_at IS NULL AND complete = wanted
        ) END
    FROM read;
END;


CREATE FUNCTION api.create_task(
    owner api.owner, title text, description text, complete boolean, priority text,
    OUT id bigint, OUT task text
) LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO public.tasks_task AS new
        (user_id, title, description, complete, priority, completed_at, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, CASE WHEN $4 THEN statement_timestamp() END,
            statement_timestamp(), statement_timestamp())
    RETURNING new.id, api.json_of(new);
END;


CREATE FUNCTION api.read_task(owner api.owner, task bigint) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT api.json_of(found) FROM public.tasks_task AS found
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL;
END;


-- Sets what is given. NULL leaves a column as it is; for the description, which may be NULL, `describe`
-- tells. A change that changes nothing leaves the times alone; any other is later than all before it.
CREATE FUNCTION api.change_task(
    owner api.owner, task bigint,
    title text, description text, describe boolean, complete boolean, priority text
) RETURNS text LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    UPDATE public.tasks_task AS old SET
        title = coalesce($3, old.title),
        description = CASE WHEN describe THEN $4 ELSE old.description END,
        complete = coalesce($6, old.complete),
        priority = coalesce($7, old.priority),
        completed_at = CASE WHEN coalesce($6, old.complete) THEN
            coalesce(old.completed_at, api.after(old.updated_at)) END,
        updated_at = CASE WHEN
            ($3 IS NULL OR $3 = old.title)
            AND (NOT describe OR $4 IS NOT DISTINCT FROM old.description)
            AND ($6 IS NULL OR $6 = old.complete)
            AND ($7 IS NULL OR $7 = old.priority)
            THEN old.updated_at ELSE api.after(old.updated_at) END
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL
    RETURNING api.json_of(old);
END;


-- True once: of parallel deletes of one task exactly one finds it. The row stays for staff.
CREATE FUNCTION api.trash_task(owner api.owner, task bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    UPDATE public.tasks_task SET deleted_at = statement_timestamp()
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL
    RETURNING true;
END;


-- The same where nothing is kept.
CREATE FUNCTION api.delete_task(owner api.owner, task bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    DELETE FROM public.tasks_task
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL
    RETURNING true;
END;
