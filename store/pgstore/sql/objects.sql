-- The tables and functions that are not there, or that the user may not use as a Store does.
SELECT coalesce(string_agg(name, ', ') FILTER (WHERE id IS NULL), ''),
    coalesce(string_agg(name, ', ') FILTER (WHERE NOT allowed), '')
FROM (
    SELECT name, to_regclass(name)::oid AS id,
        has_table_privilege(to_regclass(name), 'SELECT') AND has_table_privilege(to_regclass(name), 'INSERT')
            AND has_table_privilege(to_regclass(name), 'UPDATE') AND has_table_privilege(to_regclass(name), 'DELETE') AS allowed
    FROM (VALUES ('{{prefix}}records'), ('{{prefix}}buckets'), ('{{prefix}}windows')) AS tables (name)
    UNION ALL
    SELECT split_part(name, '(', 1), to_regprocedure(name)::oid, has_function_privilege(to_regprocedure(name), 'EXECUTE')
    FROM (VALUES ('{{prefix}}load(bytea,int8)'),
        ('{{prefix}}commit(int8,int8[],bytea[],int8[],bytea[],int8[],bytea[],int8[],bytea[])')) AS functions (name)
) AS objects
