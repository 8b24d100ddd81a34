"""What bindings other than objects keep: durable objects of Perdure's own."""
