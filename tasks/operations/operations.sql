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
        || coalesce(
            '","due_date":' || coalesce(to_json(task.due_day)::text, tasks_api.json_of(task.due_at)),
            '","due_date":null')
        || CASE WHEN task.tags_folded IS NULL THEN ',"tags":[]' ELSE ',"tags":' || to_json(task.tags) END
        || ',"completed_at":' || coalesce(tasks_api.json_of(task.completed_at), 'null')
        || ',"created_at":' || tasks_api.json_of(task.created_at)
        || ',"updated_at":' || tasks_api.json_of(task.updated_at) || '}'
$$;


-- A task in the trash as clients see it.
CREATE OR REPLACE FUNCTION tasks_api.trashed_json_of(task public.tasks_task) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT left(tasks_api.json_of(task), -1)
        || ',"deleted_at":' || tasks_api.json_of(task.deleted_at) || '}'
$$;


-- The entity tag of a task, without quotes: `entity_tag` of `conditions.py` computes the same.
CREATE OR REPLACE FUNCTION tasks_api.tag_of(representation text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(convert_to(representation, 'UTF8')), 'hex'), 32)
$$;


-- The values of fields that a POST or a PUT leaves out.
CREATE OR REPLACE FUNCTION tasks_api.defaults() RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"description": null, "complete": false, "priority": "medium", "due_date": null, "tags": []}'::jsonb
$$;


-- Whether a client may set all of these fields, and each has its JSON type. The constraints of the
-- table check the rest.
CREATE OR REPLACE FUNCTION tasks_api.may_set(given jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT given - '{title,description,complete,priority,due_date,tags}'::text[] = '{}'
        AND coalesce(jsonb_typeof(given -> 'title') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'description') IN ('string', 'null'), true)
        AND coalesce(jsonb_typeof(given -> 'complete') = 'boolean', true)
        AND coalesce(jsonb_typeof(given -> 'priority') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'due_date') IN ('string', 'null'), true)
        AND coalesce(given ->> 'due_date' LIKE '____-__-__%', true)
        AND coalesce(jsonb_typeof(given -> 'tags') = 'array', true)
        AND coalesce(given -> 'tags' = '[]'
            OR NOT given @? 'strict $.tags[*] ? (@.type() != "string")', true)
$$;


-- A due date of 10 characters is a day, a longer one is a time.
CREATE OR REPLACE FUNCTION tasks_api.day_of(due_date text) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN length(due_date) = 10 THEN due_date::date END
$$;


CREATE OR REPLACE FUNCTION tasks_api.time_of(due_date text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN length(due_date) > 10 THEN due_date::timestamptz END
$$;


CREATE OR REPLACE FUNCTION tasks_api.texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT jsonb_array_elements_text(list))
$$;


-- The tasks of a plain list, both for its page and for its count.
CREATE OR REPLACE FUNCTION tasks_api.matching(owner text, query jsonb)
RETURNS SETOF public.tasks_task LANGUAGE sql STABLE AS $$
    SELECT * FROM public.tasks_task
    WHERE user_id = owner AND deleted_at IS NULL
        AND (query -> 'complete' IS NULL OR complete = (query -> 'complete')::boolean)
$$;


-- The SQL of a sort key or of a time that a filter compares; NULL for an unknown one. The due date is
-- written so that no index of the admin fits, since a user's tasks are few beside all that are due.
CREATE OR REPLACE FUNCTION tasks_api.key_of(name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE name
        WHEN 'created_at' THEN 'created_at'
        WHEN 'updated_at' THEN 'updated_at'
        WHEN 'completed_at' THEN 'completed_at'
        WHEN 'deleted_at' THEN 'deleted_at'
        WHEN 'due_date' THEN
            $key$CASE WHEN due_at IS NULL THEN timezone('UTC', due_day::timestamp) ELSE due_at END$key$
        WHEN 'priority' THEN
            $key$CASE priority WHEN 'low' THEN '1' WHEN 'medium' THEN '2' ELSE '3' END COLLATE "C"$key$
        WHEN 'title' THEN $key$coalesce(folded[1], lower(title COLLATE "C")) COLLATE "C"$key$
    END
$$;


-- The page of any list: the ids of its tasks in their order, one more if there is a next page, the
-- number of all tasks that match, and id and sort keys of the last task on the page.
--
-- query: what `list_tasks` documents. The statement has only the conditions and keys that this list
-- needs, so that a task costs no more than they do. All of its text is in this file: what a client
-- sent is passed as a value, by USING.
CREATE OR REPLACE FUNCTION tasks_api.page_of(
    owner text, query jsonb, OUT ids bigint[], OUT total bigint, OUT last jsonb
) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    page_limit bigint := (query -> 'limit')::bigint;
    page_offset bigint := (query -> 'offset')::bigint;
    sort jsonb := coalesce(query -> 'sort', '["-created_at"]');
    after jsonb := nullif(query -> 'after', 'null');
    priorities text[];
    wanted_tags text[];
    patterns text[];
    bounds timestamptz[];
    last_times timestamptz[];
    last_texts text[];

    conditions text := CASE WHEN query ? 'deleted'
        THEN 'user_id = $1 AND deleted_at IS NOT NULL' ELSE 'user_id = $1 AND deleted_at IS NULL' END;
    keys text := '';
    ordering text := '';
    is_after text;
    name text;
    key text;
    bound text;
    comparison text;
BEGIN
    IF query ? 'complete' THEN
        conditions := conditions || ' AND complete = $4';
    END IF;
    IF query ? 'priority' THEN
        priorities := tasks_api.texts(query -> 'priority');
        conditions := conditions || ' AND priority = ANY ($5)';
    END IF;
    IF query ? 'tag' THEN
        wanted_tags := public.tasks_fold(tasks_api.texts(query -> 'tag'));
        -- So that no index of the admin fits.
        conditions := conditions || ' AND (tags_folded @> $6) IS TRUE';
    END IF;
    IF query ? 'q' THEN
        patterns := ARRAY(
            SELECT '%' || regexp_replace(public.tasks_casefold(word), '([\\%_])', '\\\1', 'g') || '%'
            FROM jsonb_array_elements_text(query -> 'q') AS word);
        -- A word has no white space, so it never begins in the title and ends in the description.
        conditions := conditions || $condition$ AND CASE WHEN folded[1] IS NULL
            THEN lower((title || E'\n' || coalesce(description, '')) COLLATE "C")
            ELSE array_to_string(folded, E'\n') END LIKE ALL ($7)$condition$;
    END IF;
    IF query ? 'due' THEN
        conditions := conditions || CASE query ->> 'due'
            WHEN 'any' THEN ' AND (due_day IS NOT NULL OR due_at IS NOT NULL)'
            WHEN 'none' THEN ' AND due_day IS NULL AND due_at IS NULL' END;
    END IF;
    FOREACH name IN ARRAY '{due_date,created_at,updated_at,completed_at}'::text[] LOOP
        key := split_part(name, '_', 1);
        IF query ? (key || '_after') THEN
            bounds := bounds || (query ->> (key || '_after'))::timestamptz;
            conditions := conditions
                || format(' AND %s >= $8[%s]', tasks_api.key_of(name), cardinality(bounds));
        END IF;
        IF query ? (key || '_before') THEN
            bounds := bounds || (query ->> (key || '_before'))::timestamptz;
            conditions := conditions
                || format(' AND %s < $8[%s]', tasks_api.key_of(name), cardinality(bounds));
        END IF;
    END LOOP;

    -- From the last key to the first: the tasks after the one where the page before ended.
    FOR number IN REVERSE jsonb_array_length(sort) .. 1 LOOP
        name := ltrim(sort ->> number - 1, '-');
        key := 'key' || number;
        comparison := CASE WHEN starts_with(sort ->> number - 1, '-') THEN '<' ELSE '>' END;
        is_after := coalesce(is_after, format('id %s $9', comparison));
        IF after IS NULL THEN
            NULL;
        ELSIF after ->> number IS NULL THEN
            is_after := format('%s IS NULL AND %s', key, is_after);
        ELSE
            IF name IN ('priority', 'title') THEN
                last_texts[number] := after ->> number;
                bound := format('$11[%s]', number);
            ELSE
                last_times[number] := after ->> number;
                bound := format('$10[%s]', number);
            END IF;
            is_after := format('(%1$s %2$s %3$s OR %1$s = %3$s AND %4$s)',
                key, comparison, bound, is_after);
            IF name IN ('completed_at', 'due_date') THEN
                -- NULL is last in both directions.
                is_after := format('(%s OR %s IS NULL)', is_after, key);
            END IF;
        END IF;
        comparison := CASE comparison WHEN '<' THEN 'DESC' ELSE 'ASC' END;
        ordering := concat_ws(', ', format('%s %s NULLS LAST', key, comparison),
            coalesce(nullif(ordering, ''), format('id %s', comparison)));
        keys := format(', %s AS %s', tasks_api.key_of(name), key) || keys;
    END LOOP;
    IF keys IS NULL OR jsonb_array_length(sort) NOT BETWEEN 1 AND 3
        OR NOT query ? 'deleted' AND sort ?| '{deleted_at,-deleted_at}'
    THEN
        RAISE invalid_parameter_value USING MESSAGE = 'list_tasks: an unknown sort key';
    END IF;

    EXECUTE format(
        'WITH matching AS MATERIALIZED (SELECT id%1$s FROM public.tasks_task WHERE %2$s) '
        'SELECT array_agg(id), (SELECT count(*) FROM matching), '
        '    jsonb_agg(to_jsonb(numbered)) FILTER (WHERE place = $2) -> 0 '
        'FROM (SELECT *, row_number() OVER () AS place FROM ('
        '    SELECT * FROM matching WHERE %3$s ORDER BY %4$s LIMIT $2 + 1 OFFSET $3'
        ') AS page) AS numbered',
        keys, conditions, CASE WHEN after IS NULL THEN 'true' ELSE is_after END, ordering)
    INTO ids, total, last
    USING owner, page_limit, page_offset, (query -> 'complete')::boolean, priorities, wanted_tags,
        patterns, bounds, (after ->> 0)::bigint, last_times, last_texts;
    last := jsonb_build_array(last -> 'id', last -> 'key1', last -> 'key2', last -> 'key3');
END
$$;


-- query: `limit`, `offset`, and optionally
--   sort       one to three of created_at, updated_at, completed_at, due_date, priority, title, and
--              in the trash deleted_at; with a - in front for descending
--   after      the last task of the page before: its id and its sort keys
--   deleted    true: the tasks in the trash instead
--   complete   a boolean
--   priority   an array: any of them
--   tag        an array: all of them
--   q          an array of words: all of them, in title or description
--   due        "any" or "none"
--   due_after, due_before, created_after, created_before, updated_after, updated_before,
--   completed_after, completed_before: times. `after` includes the time, `before` does not.
--
-- Returns the page as a JSON array, and as `beside` an object: `count`, the number of all tasks that
-- match, and `last`, where the page ended, if there is a next one. A server of the release before
-- passes both on to its clients.
CREATE OR REPLACE FUNCTION tasks_api.list_tasks(
    owner text, query jsonb, OUT tasks text, OUT beside jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    page_limit bigint NOT NULL := (query -> 'limit')::bigint;
    page_offset bigint NOT NULL := (query -> 'offset')::bigint;
    filters jsonb := query - '{limit,offset,sort,after}'::text[];
    after_time timestamptz := 'infinity';
    after_id bigint := 0;
    last_time timestamptz;
    last_id bigint;
    last jsonb;
    ids bigint[];
    rows_read bigint;
    total bigint;
BEGIN
    IF filters <> '{}' AND (
        filters - '{deleted,complete,priority,tag,q,due,due_after,due_before,created_after,created_before,updated_after,updated_before,completed_after,completed_before}'::text[] <> '{}'
        OR jsonb_typeof(filters -> 'complete') <> 'boolean'
        OR filters -> 'deleted' <> 'true')
    THEN
        RAISE invalid_parameter_value USING MESSAGE = 'list_tasks: an unknown filter, or of a wrong type';
    END IF;

    IF filters - 'complete' <> '{}' OR query -> 'sort' <> '["-created_at"]' THEN
        SELECT * INTO ids, total, last FROM tasks_api.page_of(whose, query);
        SELECT '[' || coalesce(string_agg(
            CASE WHEN task.deleted_at IS NULL
                THEN tasks_api.json_of(task) ELSE tasks_api.trashed_json_of(task) END,
            ',' ORDER BY place), '') || ']'
        INTO tasks
        FROM unnest(ids[:page_limit]) WITH ORDINALITY AS page (id, place)
        JOIN public.tasks_task AS task USING (id);
        last := CASE WHEN cardinality(ids) > page_limit THEN last END;
    ELSE
        IF query -> 'after' <> 'null' THEN
            after_id := query -> 'after' ->> 0;
            after_time := query -> 'after' ->> 1;
        END IF;
        -- One row more than the page. If there is none, the page is the last one, and the count is
        -- known without counting.
        SELECT count(*),
            '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= page_limit), '') || ']',
            max(created_at) FILTER (WHERE place = page_limit), max(id) FILTER (WHERE place = page_limit)
        INTO rows_read, tasks, last_time, last_id
        FROM (
            SELECT tasks_api.json_of(task) AS json, id, created_at, row_number() OVER () AS place
            FROM (
                SELECT * FROM tasks_api.matching(whose, filters)
                WHERE (created_at, id) < (after_time, after_id)
                ORDER BY created_at DESC, id DESC LIMIT page_limit + 1 OFFSET page_offset
            ) AS task
        ) AS page;

        IF rows_read > page_limit THEN
            last := jsonb_build_array(last_id, last_time);
        END IF;
        IF rows_read <= page_limit AND (rows_read > 0 OR page_offset = 0) AND after_id = 0 THEN
            total := page_offset + rows_read;
        ELSIF filters = '{}' THEN
            -- With a constant the plan has no filter, so an index-only scan can count.
            total := (SELECT count(*) FROM tasks_api.matching(whose, '{}'));
        ELSE
            total := (SELECT count(*) FROM tasks_api.matching(whose, filters));
        END IF;
    END IF;
    beside := jsonb_build_object('count', total);
    IF last IS NOT NULL THEN
        beside := jsonb_build_object('count', total, 'last', last);
    END IF;
END
$$;


-- given: the fields, and optionally `idempotency`: the key and the fingerprint of the request.
-- Raises unique_violation if the owner has a task with this key.
CREATE OR REPLACE FUNCTION tasks_api.create_task(owner text, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    fields jsonb := tasks_api.defaults() || (given - 'idempotency');
    new_tags text[] := '{}';
    new_folded text[] := '{}';
    new_tags_folded text[];
    answer text;
BEGIN
    IF tasks_api.may_set(fields) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'create_task: an unknown field, or of a wrong type';
    END IF;
    IF fields -> 'tags' <> '[]' THEN
        new_tags := tasks_api.texts(fields -> 'tags');
        new_tags_folded := public.tasks_fold(new_tags);
    END IF;
    IF octet_length(given::text) > length(given::text) THEN
        new_folded := public.tasks_fold(fields ->> 'title', fields ->> 'description');
    END IF;

    INSERT INTO public.tasks_task AS task
        (user_id, title, description, complete, priority, due_day, due_at, tags, folded, tags_folded,
        idempotency_key, idempotency_fingerprint, created_at, updated_at)
    VALUES (
        whose, fields ->> 'title', fields ->> 'description',
        (fields -> 'complete')::boolean, fields ->> 'priority',
        tasks_api.day_of(fields ->> 'due_date'), tasks_api.time_of(fields ->> 'due_date'),
        new_tags, new_folded, new_tags_folded,
        given -> 'idempotency' ->> 0, given -> 'idempotency' ->> 1,
        statement_timestamp(), statement_timestamp()
    )
    RETURNING tasks_api.json_of(task) INTO answer;
    RETURN answer;
END
$$;


-- Creates a task, unless this owner has used the key before.
--
-- fingerprint: of the fields that came with the key. outcome: `created`; `replayed`, with the task as
-- it is now; `reused`, if the key came with other fields; `gone`, if its task is in the trash.
CREATE OR REPLACE FUNCTION tasks_api.create_task_once(
    owner text, given jsonb, key text, fingerprint text, OUT task text, OUT outcome text
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    idempotency jsonb NOT NULL := jsonb_build_array(nullif(key, ''), nullif(fingerprint, ''));
    stored public.tasks_task;
BEGIN
    FOR attempt IN 1 .. 5 LOOP
        SELECT * INTO stored FROM public.tasks_task AS each
        WHERE each.user_id = whose AND each.idempotency_key = key;
        IF found THEN
            outcome := CASE
                WHEN stored.idempotency_fingerprint IS DISTINCT FROM fingerprint THEN 'reused'
                WHEN stored.deleted_at IS NOT NULL THEN 'gone'
                ELSE 'replayed' END;
            task := CASE outcome WHEN 'replayed' THEN tasks_api.json_of(stored) END;
            RETURN;
        END IF;
        BEGIN
            task := tasks_api.create_task(
                owner, given || jsonb_build_object('idempotency', idempotency));
            outcome := 'created';
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            -- It has waited for another request with this key. The next statement sees its task.
            NULL;
        END;
    END LOOP;
    RAISE serialization_failure USING MESSAGE = 'create_task_once: the key is created and deleted';
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
    new_tags text[] := '{}';
    answer text;
BEGIN
    IF tasks_api.may_set(given) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'change_task: an unknown field, or of a wrong type';
    END IF;
    IF given -> 'tags' <> '[]' THEN
        new_tags := tasks_api.texts(given -> 'tags');
    END IF;

    UPDATE public.tasks_task AS stored SET
        title = coalesce(given ->> 'title', stored.title),
        description = CASE WHEN given ? 'description'
            THEN given ->> 'description' ELSE stored.description END,
        complete = coalesce((given -> 'complete')::boolean, stored.complete),
        priority = coalesce(given ->> 'priority', stored.priority),
        due_day = CASE WHEN given ? 'due_date'
            THEN tasks_api.day_of(given ->> 'due_date') ELSE stored.due_day END,
        due_at = CASE WHEN given ? 'due_date'
            THEN tasks_api.time_of(given ->> 'due_date') ELSE stored.due_at END,
        tags = CASE WHEN given ? 'tags' THEN new_tags ELSE stored.tags END
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


-- From the list or from the trash.
CREATE OR REPLACE FUNCTION tasks_api.delete_task_permanently(owner text, task bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    DELETE FROM public.tasks_task AS stored WHERE stored.id = task AND stored.user_id = whose;
    RETURN nullif(found, false);
END
$$;


-- Brings the task back if it is in the trash, and changes the given fields.
CREATE OR REPLACE FUNCTION tasks_api.restore_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    UPDATE public.tasks_task AS stored SET
        deleted_at = NULL,
        updated_at = greatest(statement_timestamp(), stored.updated_at + interval '1 microsecond')
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NOT NULL;
    RETURN tasks_api.change_task(owner, task, given);
END
$$;


-- Whether the conditions of a request hold for a task.
--
-- conditions: `if_match` and `if_none_match`, each "*" or an array of entity tags without quotes.
-- `if_match` also takes the time of the last change.
CREATE OR REPLACE FUNCTION tasks_api.conditions_hold(conditions jsonb, task public.tasks_task) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
            conditions -> 'if_match' ?| ARRAY[
                '*', tasks_api.tag_of(tasks_api.json_of(task)),
                btrim(tasks_api.json_of(task.updated_at), '"')],
            true)
        AND coalesce(
            NOT conditions -> 'if_none_match' ?| ARRAY[
                '*', tasks_api.tag_of(tasks_api.json_of(task))],
            true)
$$;


-- One of the operations above, if the conditions of the request hold for the task. The task is locked
-- before, so of several requests with the same tag only one can succeed.
--
-- operation: `change`, `replace`, `restore`, `trash`, `delete` or `delete_permanently`.
-- answer: what the operation returns. refused: the task as it is, if the conditions do not hold.
CREATE OR REPLACE FUNCTION tasks_api.write_task_if(
    owner text, task bigint, operation text, given jsonb, conditions jsonb,
    OUT answer text, OUT refused text
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    stored public.tasks_task;
BEGIN
    SELECT * INTO stored FROM public.tasks_task AS each
    WHERE each.id = task AND each.user_id = whose
        AND (each.deleted_at IS NULL OR operation IN ('restore', 'delete_permanently'))
    FOR UPDATE;
    IF NOT found THEN
        RETURN;
    END IF;
    IF tasks_api.conditions_hold(conditions, stored) IS NOT true THEN
        refused := tasks_api.json_of(stored);
        RETURN;
    END IF;
    CASE operation
        WHEN 'change' THEN answer := tasks_api.change_task(owner, task, given);
        WHEN 'replace' THEN answer := tasks_api.replace_task(owner, task, given);
        WHEN 'restore' THEN answer := tasks_api.restore_task(owner, task, given);
        WHEN 'trash' THEN answer := tasks_api.trash_task(owner, task);
        WHEN 'delete' THEN answer := tasks_api.delete_task(owner, task);
        WHEN 'delete_permanently' THEN answer := tasks_api.delete_task_permanently(owner, task);
    END CASE;
END
$$;


-- What distinguishes this database from every other one, and from its own past: a server or a branch
-- of Neon, the history of a server that was restored or promoted, and the files of its tables, whose
-- path names the database. Without a subquery, so that PostgreSQL can inline it.
CREATE OR REPLACE FUNCTION tasks_api.generation() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT left(md5(concat_ws(' ',
        (pg_control_system()).system_identifier,
        current_setting('neon.timeline_id', true),
        left(pg_walfile_name(pg_current_wal_lsn()), 8),
        pg_relation_filepath('public.tasks_task'),
        pg_relation_filepath('public.tasks_change'))), 10)
$$;


-- For each transaction that has written tasks of this owner since a snapshot, whether the owner has
-- lost one by it. Rows of a restored dump may be newer than the present.
CREATE OR REPLACE FUNCTION tasks_api.changes_since(
    owner text, since pg_snapshot, present pg_snapshot
) RETURNS SETOF boolean LANGUAGE sql STABLE AS $$
    SELECT is_loss FROM public.tasks_change
    WHERE user_hash = hashtextextended(owner, 0)
        AND xid >= pg_snapshot_xmin(since) AND xid < pg_snapshot_xmax(present)
        AND NOT pg_visible_in_snapshot(xid, since)
$$;


-- What is new, changed or deleted since an earlier call.
--
-- query: `limit`, and `position`: what the call before returned, or null for all tasks. A position is
-- an array of texts: the generation; the snapshot since which the changes are asked for, or '';
-- the number of tasks at the end of that call; and, if there was more, the snapshot when the first
-- page was read, `tasks` or `deleted`, and time and id of the last one on the page.
--
-- Returns the tasks and the ids of deleted tasks as JSON arrays, and as `beside` an object: `count`,
-- the number of all tasks, `more`, and `position` for the next call. `beside` is NULL if the changes
-- are no longer known.
--
-- A transaction that the snapshot does not show as completed may have written since. `tasks_change`
-- tells whether one has, so that an empty answer reads no task. A row's own transaction may be part
-- of another one (a savepoint), so a row counts as changed if it is not older than all transactions
-- that were in progress: some tasks may come twice, but none is missed.
CREATE OR REPLACE FUNCTION tasks_api.sync_tasks(
    owner text, query jsonb, OUT tasks text, OUT deleted text, OUT beside jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    page_limit bigint NOT NULL := (query -> 'limit')::bigint;
    start jsonb := nullif(query -> 'position', 'null');
    generation text := tasks_api.generation();
    present pg_snapshot := pg_current_snapshot();
    since pg_snapshot := nullif(start ->> 1, '');
    total bigint := start ->> 2;
    until pg_snapshot := coalesce(start ->> 3, present::text);
    part text := coalesce(start ->> 4, 'tasks');
    after_time timestamptz := coalesce(nullif(start ->> 5, ''), 'infinity');
    after_id bigint := coalesce(start ->> 6, '0');
    max_age integer;
    is_lost boolean;
    is_changed boolean;
    rows_read bigint;
BEGIN
    tasks := '[]';
    deleted := '[]';
    IF start IS NOT NULL THEN
        IF start ->> 0 IS DISTINCT FROM generation
            OR pg_snapshot_xmax(coalesce(since, until)) > pg_snapshot_xmax(present)
            OR pg_snapshot_xmax(present)::text::bigint
                - pg_snapshot_xmin(coalesce(since, until))::text::bigint >= 2000000000
        THEN
            RETURN;
        END IF;
        SELECT bool_or(is_loss), count(*) > 0 INTO is_lost, is_changed
        FROM tasks_api.changes_since(whose, coalesce(since, until), present) AS is_loss;
        IF is_lost THEN
            RETURN;
        END IF;
        IF since IS NOT NULL AND NOT is_changed THEN
            beside := jsonb_build_object('count', total, 'more', false,
                'position', jsonb_build_array(generation, until, total::text));
            RETURN;
        END IF;
        max_age := age(pg_snapshot_xmin(since)::xid);
    END IF;

    IF part = 'tasks' THEN
        SELECT count(*),
            '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= page_limit), '') || ']',
            coalesce(max(created_at) FILTER (WHERE place = page_limit), after_time),
            coalesce(max(id) FILTER (WHERE place = page_limit), after_id)
        INTO rows_read, tasks, after_time, after_id
        FROM (
            SELECT tasks_api.json_of(task) AS json, id, created_at, row_number() OVER () AS place
            FROM (
                SELECT * FROM public.tasks_task AS stored
                WHERE user_id = whose AND deleted_at IS NULL
                    AND (created_at, id) < (after_time, after_id)
                    AND (max_age IS NULL OR age(stored.xmin) BETWEEN 0 AND max_age)
                ORDER BY created_at DESC, id DESC LIMIT page_limit + 1
            ) AS task
        ) AS page;
        IF rows_read <= page_limit THEN
            page_limit := page_limit - rows_read;
            part := CASE WHEN max_age IS NULL THEN 'end' ELSE 'deleted' END;
            after_time := 'infinity';
            after_id := 0;
        END IF;
    END IF;
    IF part = 'deleted' THEN
        SELECT count(*),
            '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= page_limit), '') || ']',
            coalesce(max(deleted_at) FILTER (WHERE place = page_limit), after_time),
            coalesce(max(id) FILTER (WHERE place = page_limit), after_id)
        INTO rows_read, deleted, after_time, after_id
        FROM (
            SELECT '{"id":' || id || ',"deleted_at":' || tasks_api.json_of(deleted_at) || '}' AS json,
                id, deleted_at, row_number() OVER () AS place
            FROM (
                SELECT * FROM public.tasks_task AS stored
                WHERE user_id = whose AND deleted_at IS NOT NULL
                    AND (deleted_at, id) < (after_time, after_id)
                    AND age(stored.xmin) BETWEEN 0 AND max_age
                ORDER BY deleted_at DESC, id DESC LIMIT page_limit + 1
            ) AS task
        ) AS page;
        IF rows_read <= page_limit THEN
            part := 'end';
        END IF;
    END IF;

    total := (SELECT count(*) FROM public.tasks_task WHERE user_id = whose AND deleted_at IS NULL);
    IF part = 'end' THEN
        -- What has changed since the first page, so that a client that has it all has `count` tasks.
        is_changed := EXISTS (SELECT FROM tasks_api.changes_since(whose, until, present));
        beside := jsonb_build_object('count', total, 'more', is_changed,
            'position', jsonb_build_array(generation, until, total::text));
    ELSE
        beside := jsonb_build_object('count', total, 'more', true,
            'position', jsonb_build_array(
                generation, coalesce(since::text, ''), total::text, until, part,
                CASE WHEN isfinite(after_time)
                    THEN btrim(tasks_api.json_of(after_time), '"') ELSE '' END,
                after_id::text));
    END IF;
END
$$;
