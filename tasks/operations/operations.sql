-- The operations: all that the API may do to the database.
--
-- Its role has no right on any table, only to call these functions, and each of them takes the owner
-- first: a statement that forgets whose tasks it means cannot be written. They run with the rights of
-- the owner of the table, and build the JSON of the answer too.
--
-- Rules for this file:
-- * `migrate` runs it in one transaction and may run it again at any time, while servers of this
--   release and of its neighbours are busy. So CREATE OR REPLACE only, nothing is dropped, and a
--   signature never changes: what varies travels in a jsonb. An incompatible change gets a new name,
--   and the old function goes one release later.
-- * A change of this file raises REVISION in `installation.py`.
-- * An operation is PL/pgSQL, which keeps its plans on every version of PostgreSQL. Its search_path
--   is pinned, tables are named with their schema: so a name means the same for every caller.
-- * A helper is a single SELECT, so that PostgreSQL can inline it into the operation that uses it.


CREATE OR REPLACE FUNCTION tasks_api.json_of(moment timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '"' || to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
$$;


-- A task as clients see it.
CREATE OR REPLACE FUNCTION tasks_api.json_of(task public.tasks_task) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '{"id":' || task.id
        || ',"user_id":' || to_json(task.user_id)
        || ',"title":' || to_json(task.title)
        || ',"description":' || coalesce(to_json(task.description)::text, 'null')
        || ',"complete":' || task.complete
        || ',"priority":"' || task.priority
        || '","completed_at":' || coalesce(tasks_api.json_of(task.completed_at), 'null')
        || ',"created_at":' || tasks_api.json_of(task.created_at)
        || ',"updated_at":' || tasks_api.json_of(task.updated_at) || '}'
$$;


-- The tasks that a list is about: its page and its count both come from here.
CREATE OR REPLACE FUNCTION tasks_api.matching(owner text, query jsonb)
RETURNS SETOF public.tasks_task LANGUAGE sql STABLE AS $$
    SELECT * FROM public.tasks_task
    WHERE user_id = owner AND deleted_at IS NULL
        AND (query -> 'complete' IS NULL OR complete = (query -> 'complete')::boolean)
$$;


-- What a PUT that leaves a field out, or a POST, sets it to.
CREATE OR REPLACE FUNCTION tasks_api.defaults() RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"description": null, "complete": false, "priority": "medium"}'::jsonb
$$;


-- Whether these are fields that a client may set, each of its JSON type. The rest is checked by the
-- constraints of the table.
CREATE OR REPLACE FUNCTION tasks_api.may_set(given jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT given - '{title,description,complete,priority}'::text[] = '{}'
        AND coalesce(jsonb_typeof(given -> 'title') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'description') IN ('string', 'null'), true)
        AND coalesce(jsonb_typeof(given -> 'complete') = 'boolean', true)
        AND coalesce(jsonb_typeof(given -> 'priority') = 'string', true)
$$;


-- query: limit, offset, and what `matching` knows. Answers with a JSON array of the page, newest
-- first, and with what stands beside it: `count`, of all that match.
--
-- One row more than the page is read: where it is missing, the page is the last one, and the count is
-- known without counting.
CREATE OR REPLACE FUNCTION tasks_api.list_tasks(
    owner text, query jsonb, OUT tasks text, OUT beside jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    page_limit bigint NOT NULL := (query -> 'limit')::bigint;
    page_offset bigint NOT NULL := (query -> 'offset')::bigint;
    filters jsonb := query - '{limit,offset}'::text[];
    rows_read bigint;
    total bigint;
BEGIN
    IF filters - 'complete' <> '{}' OR jsonb_typeof(filters -> 'complete') <> 'boolean' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'list_tasks: an unknown filter, or of a wrong type';
    END IF;

    SELECT count(*), '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= page_limit), '') || ']'
    INTO rows_read, tasks
    FROM (
        SELECT tasks_api.json_of(task) AS json, row_number() OVER () AS place
        FROM (
            SELECT * FROM tasks_api.matching(whose, filters)
            ORDER BY created_at DESC, id DESC LIMIT page_limit + 1 OFFSET page_offset
        ) AS task
    ) AS page;

    IF rows_read <= page_limit AND (rows_read > 0 OR page_offset = 0) THEN
        total := page_offset + rows_read;
    ELSIF filters = '{}' THEN
        -- As a constant it leaves no filter in the plan, and then the index alone counts.
        total := (SELECT count(*) FROM tasks_api.matching(whose, '{}'));
    ELSE
        total := (SELECT count(*) FROM tasks_api.matching(whose, filters));
    END IF;
    beside := jsonb_build_object('count', total);
END
$$;


CREATE OR REPLACE FUNCTION tasks_api.create_task(owner text, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    fields jsonb := tasks_api.defaults() || given;
    answer text;
BEGIN
    IF tasks_api.may_set(fields) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'create_task: an unknown field, or of a wrong type';
    END IF;

    INSERT INTO public.tasks_task AS task
        (user_id, title, description, complete, priority, created_at, updated_at)
    VALUES (
        whose, fields ->> 'title', fields ->> 'description',
        (fields -> 'complete')::boolean, fields ->> 'priority',
        statement_timestamp(), statement_timestamp()
    )
    RETURNING tasks_api.json_of(task) INTO answer;
    RETURN answer;
END
$$;


-- NULL where this owner has no such task, as in all that follow.
CREATE OR REPLACE FUNCTION tasks_api.read_task(owner text, task bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    RETURN (
        SELECT tasks_api.json_of(stored) FROM public.tasks_task AS stored
        WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL
    );
END
$$;


-- A field that is not given stays as it is. The times are the matter of the table's trigger.
CREATE OR REPLACE FUNCTION tasks_api.change_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    answer text;
BEGIN
    IF tasks_api.may_set(given) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'change_task: an unknown field, or of a wrong type';
    END IF;

    UPDATE public.tasks_task AS stored SET
        title = coalesce(given ->> 'title', stored.title),
        description = CASE WHEN given ? 'description'
            THEN given ->> 'description' ELSE stored.description END,
        complete = coalesce((given -> 'complete')::boolean, stored.complete),
        priority = coalesce(given ->> 'priority', stored.priority)
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL
    RETURNING tasks_api.json_of(stored) INTO answer;
    RETURN answer;
END
$$;


-- A field that is not given returns to its default.
CREATE OR REPLACE FUNCTION tasks_api.replace_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tasks_api.change_task(owner, task, tasks_api.defaults() || given);
END
$$;


-- True once: of parallel deletes of one task exactly one finds it. The row stays for staff.
CREATE OR REPLACE FUNCTION tasks_api.trash_task(owner text, task bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    UPDATE public.tasks_task AS stored SET deleted_at = statement_timestamp()
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL;
    RETURN nullif(found, false);
END
$$;


-- The same where nothing is kept.
CREATE OR REPLACE FUNCTION tasks_api.delete_task(owner text, task bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    DELETE FROM public.tasks_task AS stored
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL;
    RETURN nullif(found, false);
END
$$;
