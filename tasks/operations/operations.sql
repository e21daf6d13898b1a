-- The operations: all that the API may do in the database.
--
-- The role of the API has no rights on tables. It may only call these functions, each of which takes
-- the owner first, so no statement can forget the owner of the tasks. The functions run with the
-- rights of the owner of the table, and also build the JSON of the answer.
--
-- Rules for this file:
-- * `migrate` runs it in one transaction and may run it again at any time, while servers of this
--   release, the one before and the next one are busy. So use CREATE OR REPLACE only, drop nothing,
--   and never change a signature: what varies is passed in a jsonb. An incompatible change gets a new
--   name, and the old function is removed one release later.
-- * Whoever changes this file raises REVISION in `installation.py`.
-- * An operation is PL/pgSQL, which caches its plans on every version of PostgreSQL. Its search_path
--   is set, and tables are named with their schema, so a name means the same for every caller.
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


-- The tasks of a list, both for its page and for its count.
CREATE OR REPLACE FUNCTION tasks_api.matching(owner text, query jsonb)
RETURNS SETOF public.tasks_task LANGUAGE sql STABLE AS $$
    SELECT * FROM public.tasks_task
    WHERE user_id = owner AND deleted_at IS NULL
        AND (query -> 'complete' IS NULL OR complete = (query -> 'complete')::boolean)
$$;


-- The values of fields that a POST or a PUT leaves out.
CREATE OR REPLACE FUNCTION tasks_api.defaults() RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"description": null, "complete": false, "priority": "medium"}'::jsonb
$$;


-- Whether a client may set all of these fields, and each has its JSON type. The constraints of the
-- table check the rest.
CREATE OR REPLACE FUNCTION tasks_api.may_set(given jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT given - '{title,description,complete,priority}'::text[] = '{}'
        AND coalesce(jsonb_typeof(given -> 'title') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'description') IN ('string', 'null'), true)
        AND coalesce(jsonb_typeof(given -> 'complete') = 'boolean', true)
        AND coalesce(jsonb_typeof(given -> 'priority') = 'string', true)
$$;


-- query: limit, offset, and the filters of `matching`. Returns the page as a JSON array, newest first,
-- and as `beside` an object for the same answer: `count`, the number of all tasks that match.
--
-- It reads one row more than the page. If there is none, the page is the last one, and the count is
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
        -- With a constant the plan has no filter, so an index-only scan can count.
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


-- NULL if this owner has no such task, as in all functions below.
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


-- Missing fields stay as they are. The trigger of the table sets the times.
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


-- Missing fields return to their defaults.
CREATE OR REPLACE FUNCTION tasks_api.replace_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tasks_api.change_task(owner, task, tasks_api.defaults() || given);
END
$$;


-- True for exactly one of several parallel deletes. The row stays, so that staff can restore it.
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


-- The same, if nothing is kept.
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
