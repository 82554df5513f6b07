"""Data sets and published weights, each prepared once."""


rule prepare:
    input:
        script=script("prepare.py"),
        code=imports("prepare.py"),
    output:
        data="<data>/{dataset}.safetensors",
        card="<data>/{dataset}.json",
    log:
        "<logs>/prepare/{dataset}.log",
    benchmark:
        "<logs>/benchmarks/prepare/{dataset}.tsv"
    priority: FIRST
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
        root=PLAN.config.data_root,
    params:
        spec=dataset_spec,
        source=dataset_fingerprint,
    message:
        "preparing the data set {wildcards.dataset}"
    shell:
        "python {input.script:q} dataset --spec {params.spec:q} --dataset-id {wildcards.dataset} "
        "--data-root {resources.root:q} --output {output.data:q} --card {output.card:q} > {log:q} 2>&1 "
        "|| {{ cat {log:q} >&2; exit 1; }}"


rule weights:
    input:
        script=script("prepare.py"),
        code=imports("prepare.py"),
    output:
        "<data>/weights/{weights}.safetensors",
    log:
        "<logs>/weights/{weights}.log",
    benchmark:
        "<logs>/benchmarks/weights/{weights}.tsv"
    priority: FIRST
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
        root=PLAN.config.data_root,
    params:
        spec=weights_spec,
    message:
        "preparing the weights {wildcards.weights}"
    shell:
        "python {input.script:q} weights --spec {params.spec:q} --data-root {resources.root:q} "
        "--output {output:q} > {log:q} 2>&1 || {{ cat {log:q} >&2; exit 1; }}"
